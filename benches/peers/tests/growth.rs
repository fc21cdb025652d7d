//! A run with small stores has every number, and charts of them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use peers::growth::{Plan, run};
use peers::measure::Opts;
use serde_json::Value;

#[test]
fn small_stores_are_measured_and_drawn() -> Result<()> {
    let scratch = std::env::temp_dir().join(format!("peers-growth-{}", std::process::id()));
    let sizes = vec![1, 3];
    let plan = Plan {
        rows: vec![100, 1_000],
        cells: 1_000,
        files: sizes.clone(),
        versions: sizes.clone(),
        columns: sizes.clone(),
        regions: sizes,
        opts: Opts { secs: 0.001, max_noise: f64::MAX, max_attempts: 1, wait: 0.0 },
        dir: scratch.join("data"),
        out: scratch.join("out"),
    };
    run(&plan)?;
    assert_eq!(plan.dir.read_dir()?.count(), 0, "data are left");
    let text = std::fs::read_to_string(plan.out.join("growth.jsonl"))?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<serde_json::Result<_>>()?;
    let (head, points) = lines.split_first().context("no lines")?;
    assert!(head["machine"].is_string());
    let charts: BTreeSet<&str> = points.iter().filter_map(|point| point["chart"].as_str()).collect();
    assert_eq!(charts.len(), 6, "{charts:?}");
    for chart in charts {
        let mine = || points.iter().filter(|point| point["chart"] == chart);
        let sizes: BTreeSet<u64> = mine().filter_map(|point| point["size"].as_u64()).collect();
        let names: BTreeSet<&str> = mine().filter_map(|point| point["line"].as_str()).collect();
        assert_eq!(sizes.len(), 2, "{chart}");
        assert_eq!(mine().count(), 2 * names.len(), "{chart}: a line has a number for each size");
        assert!(mine().all(|point| point["value"].as_f64().is_some_and(|value| value > 0.0)), "{chart}");
        let svg = std::fs::read_to_string(plan.out.join(format!("{chart}.svg")))?;
        assert!(names.iter().all(|name| svg.contains(name)), "{chart}");
    }
    std::fs::remove_dir_all(scratch)?;
    Ok(())
}

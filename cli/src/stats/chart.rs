//! Statistics as text, with bars.

use super::Stats;
use super::cell_of;
use super::distribution::Distribution;
use super::heaviest::HeavyRow;
use hregion::cell::StringBinary;
use std::io::{self, Write};

/// The length of the longest bar, in characters.
const WIDTH: u64 = 40;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Prints the statistics.
pub(crate) fn print(stats: &Stats, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "rows {}, columns {}, cells {}, bytes {}",
        stats.rows, stats.columns, stats.cells, stats.bytes
    )?;
    let types: Vec<String> = stats.types.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if !types.is_empty() {
        writeln!(out, "types: {}", types.join(", "))?;
    }
    if stats.markers() > 0 {
        writeln!(out, "delete markers {} ({:.1} %)", stats.markers(), stats.marker_percent())?;
    }
    for (name, family) in &stats.families {
        writeln!(out, "family {}: cells {}, bytes {}", StringBinary(name), family.cells, family.bytes)?;
    }
    if let Some((min, max)) = stats.timestamps {
        writeln!(out, "timestamps {min} to {max}")?;
    }
    for distribution in stats.distributions() {
        print_distribution(distribution, out)?;
    }
    print_cells(&stats.largest.list(), out)?;
    print_rows("Rows of the most cells", &stats.hottest.list(), out)?;
    if stats.future > 0 {
        writeln!(out, "\nCells of the future: {}", stats.future)?;
    }
    print_rows("Heaviest rows", &stats.heaviest.list(), out)
}

fn print_rows(title: &str, rows: &[HeavyRow], out: &mut impl Write) -> io::Result<()> {
    if !rows.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    for row in rows {
        writeln!(out, "  {:>12} bytes {:>9} cells  {}", row.bytes, row.cells, StringBinary(&row.key))?;
    }
    Ok(())
}

fn print_cells(cells: &[HeavyRow], out: &mut impl Write) -> io::Result<()> {
    if !cells.is_empty() {
        writeln!(out, "\nLargest cells")?;
    }
    for cell in cells {
        let key = cell_of(cell);
        let [row, family, qualifier, kind] =
            ["row", "family", "qualifier", "type"].map(|name| key[name].as_str().unwrap_or_default());
        let bytes = cell.bytes;
        writeln!(out, "  {bytes:>12} bytes  {row}/{family}:{qualifier}/{}/{kind}", key["timestamp"])?;
    }
    Ok(())
}

fn print_distribution(distribution: &Distribution, out: &mut impl Write) -> io::Result<()> {
    let bins = distribution.bins();
    let all: u64 = bins.iter().map(|bin| bin.count).sum();
    if all == 0 {
        return Ok(());
    }
    let quantile = |thousandths| distribution.show(distribution.histogram.quantile(thousandths));
    writeln!(
        out,
        "\n{}: half up to {}, 95 % up to {}, 99 % up to {}, greatest {}",
        distribution.title,
        quantile(500),
        quantile(950),
        quantile(990),
        quantile(1000)
    )?;
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1);
    let labels: Vec<String> = bins.iter().map(|&bin| distribution.label(bin)).collect();
    let width = labels.iter().map(String::len).max().unwrap_or(0);
    for (bin, label) in bins.iter().zip(labels) {
        let percent = bin.count as f64 * 100.0 / all as f64;
        let bar = bar(bin.count, most);
        writeln!(out, "  {label:>width$} │{bar} {} ({percent:.1} %)", bin.count)?;
    }
    Ok(())
}

/// Returns a bar with a length proportional to `count`; non-zero counts are always visible.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count) * u128::from(WIDTH * 8) / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(count > 0));
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_length_of_their_counts() {
        assert_eq!((bar(0, 8), bar(1, 1 << 40), bar(7, 7)), (String::new(), "▏".into(), "█".repeat(40)));
        assert_eq!(bar(1, 16), "██▌");
    }

    #[test]
    fn the_chart_shows_all_statistics() {
        let mut out = Vec::new();
        print(&crate::stats::tests::some(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(
            "rows 2, columns 2, cells 4, bytes 105\n\
             types: DeleteColumn 1, Put 3\n\
             delete markers 1 (25.0 %)\n\
             family f: cells 4, bytes 105\n"
        ));
        let versions = format!(
            "Versions of a column: half up to 1, 95 % up to 2, 99 % up to 2, greatest 2\n\
             \x20      1 │{0} 1 (50.0 %)\n\
             \x20 2 to 3 │{0} 1 (50.0 %)\n",
            "█".repeat(40)
        );
        assert!(text.contains(&versions), "{text}");
        assert!(
            text.ends_with(
                "\nCells of the future: 1\n\nHeaviest rows\n            72 bytes         3 cells  a\n"
            ),
            "{text}"
        );
    }
}

//! Charts as SVG files.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, IntoLogRange, LineSeries, Palette, Palette99, PathElement,
    SVGBackend, SeriesLabelPosition, WHITE,
};

/// Lines of measurements over sizes, both on logarithmic axes.
#[derive(Debug)]
pub struct Chart {
    pub title: String,
    pub x: &'static str,
    pub y: &'static str,
    /// Names, and sizes with the measured values.
    pub lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// Pixels.
const SIZE: (u32, u32) = (960, 600);
const FONT: &str = "sans-serif";

impl Chart {
    /// Draws the chart to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.draw(path).map_err(|error| anyhow!("{error}")).with_context(|| path.display().to_string())
    }

    fn draw(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let x = span(points().map(|point| point.0));
        let y = span(points().map(|point| point.1));
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, (FONT, 18))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(88)
            .build_cartesian_2d(x.log_scale(), y.log_scale())?;
        let label = |value: &f64| grouped(*value);
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .label_style((FONT, 14))
            .draw()?;
        for (number, (name, points)) in self.lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let line = LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3);
            let drawn = chart.draw_series(line)?.label(*name);
            drawn.legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font((FONT, 14))
            .draw()?;
        Ok(area.present()?)
    }
}

/// The range of an axis: from the least value to the greatest, with a margin.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)));
    low.min(high) / 2.0..high * 2.0
}

/// A number with its thousands separated.
fn grouped(value: f64) -> String {
    if value < 1.0 {
        return value.to_string();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0.5, 1.0, 100.0, 1_000.0, 1_234_567.0].map(grouped),
            ["0.5", "1", "100", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_chart_names_its_lines() -> Result<()> {
        let path = std::env::temp_dir().join(format!("peers-chart-{}.svg", std::process::id()));
        let lines = vec![("get", vec![(1.0, 300.0), (100.0, 500.0)]), ("scan", vec![(1.0, 20.0)])];
        Chart { title: "costs".into(), x: "rows", y: "nanoseconds", lines }.write(&path)?;
        let svg = std::fs::read_to_string(&path)?;
        std::fs::remove_file(&path)?;
        for text in ["costs", "rows", "nanoseconds", "get", "scan"] {
            assert!(svg.contains(text), "{text}");
        }
        Ok(())
    }
}

//! Statistics as a picture: bar charts of the distributions, one below the other.

use super::Stats;
use super::distribution::Distribution;
use hregion::cell::StringBinary;
use std::fmt::Write as _;

const WIDTH: u64 = 760;
const MARGIN: u64 = 24;
/// The left edge of bars, and their maximum length.
const LEFT: u64 = 170;
const LENGTH: u64 = 440;
/// The line height.
const STEP: u64 = 20;

/// Draws the statistics as SVG. Text from cells is printable ASCII.
pub(crate) fn draw(stats: &Stats) -> String {
    let title = format!("rows {}, cells {}, bytes {}", stats.rows, stats.cells, stats.bytes);
    let charts = stats.distributions().map(|distribution| (distribution.title.to_owned(), distribution));
    let (mut body, mut y) = charts_of(&title, charts);
    let heaviest = stats.heaviest.list();
    if !heaviest.is_empty() {
        y += 2 * STEP;
        text(&mut body, MARGIN, y, "h", "Heaviest rows");
    }
    for row in heaviest {
        y += STEP;
        let line = format!("{} bytes, {} cells: {}", row.bytes, row.cells, shortened(&row.key));
        text(&mut body, MARGIN, y, "t", &line);
    }
    page(&body, y)
}

/// Draws distributions as SVG, each with its title.
pub(crate) fn draw_charts<'d>(
    title: &str,
    charts: impl IntoIterator<Item = (String, &'d Distribution)>,
) -> String {
    let (body, y) = charts_of(title, charts);
    page(&body, y)
}

/// Returns the drawing of distributions, and its last line.
fn charts_of<'d>(title: &str, charts: impl IntoIterator<Item = (String, &'d Distribution)>) -> (String, u64) {
    let (mut body, mut y) = (String::new(), MARGIN + STEP);
    text(&mut body, MARGIN, y, "h", title);
    for (title, distribution) in charts {
        y = draw_distribution(&mut body, &title, distribution, y + STEP);
    }
    (body, y)
}

/// Returns the picture of a drawing with the last line at `y`.
fn page(body: &str, y: u64) -> String {
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>text {{ font-family: sans-serif; font-size: 12px; fill: #222 }} .h {{ font-weight: bold }} \
         .l {{ text-anchor: end }} rect.b {{ fill: #4c78a8 }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn draw_distribution(body: &mut String, title: &str, distribution: &Distribution, top: u64) -> u64 {
    let bins = distribution.bins();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    if most == 0 {
        return top - STEP;
    }
    let mut y = top + STEP;
    text(body, MARGIN, y, "h", title);
    for bin in bins {
        y += STEP;
        text(body, LEFT - 8, y, "l", &distribution.label(bin));
        let length = u128::from(bin.count) * u128::from(LENGTH) / u128::from(most);
        let length = length.max(u128::from(bin.count > 0));
        let bar = y - 12;
        let _ =
            writeln!(body, "<rect class=\"b\" x=\"{LEFT}\" y=\"{bar}\" width=\"{length}\" height=\"15\"/>");
        text(body, LEFT + LENGTH + 8, y, "t", &bin.count.to_string());
    }
    y
}

fn text(body: &mut String, x: u64, y: u64, class: &str, text: &str) {
    let _ = writeln!(body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns a row, truncated to fit the picture.
fn shortened(row: &[u8]) -> String {
    format!("{:.60}", StringBinary(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_whole() {
        let svg = draw(&crate::stats::tests::some());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
        assert!(svg.contains(">Versions of a column</text>") && svg.contains(">72 bytes, 3 cells: a</text>"));
        assert_eq!(svg.matches("width=\"440\"").count(), 10, "{svg}");
    }

    #[test]
    fn no_text_is_markup() {
        assert_eq!(escaped("<a&b>"), "&lt;a&amp;b&gt;");
        assert_eq!(shortened(&[b'x'; 61]).chars().count(), 61);
    }
}

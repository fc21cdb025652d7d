//! A page that draws a report: one file of HTML with style, script and data, which loads nothing.

use crate::text;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("page.html");
/// The first bytes of each page.
pub(crate) const START: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"generator\" content=\"hregion report\">\n";
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("elements.js"),
    include_str!("format.js"),
    include_str!("keys.js"),
    include_str!("tables.js"),
    include_str!("summary.js"),
    include_str!("strip.js"),
    include_str!("files.js"),
    include_str!("blocks.js"),
    include_str!("histograms.js"),
    include_str!("findings.js"),
    include_str!("main.js"),
    "})();\n"
);

/// Returns the page of a report. A browser runs no script and applies no style but those of this module, by
/// their hashes. Integers that JavaScript's numbers cannot represent are strings of digits.
pub(crate) fn page(mut data: Value) -> String {
    text::make_exact(&mut data);
    let mut rest = PAGE;
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + (1 << 16));
    for (place, content) in [
        ("{script-hash}", hash(SCRIPT)),
        ("{style-hash}", hash(STYLE)),
        ("{style}", STYLE.to_owned()),
        ("{data}", inert(&data)),
        ("{script}", SCRIPT.to_owned()),
    ] {
        // each place is searched after the previous part, so that no content is mistaken for a place
        if let Some((before, after)) = rest.split_once(place) {
            page += before;
            page += &content;
            rest = after;
        }
    }
    page + rest
}

/// Returns JSON that cannot end the element that it is in: `<` and `>` are escaped.
fn inert(data: &Value) -> String {
    text::json(data).replace('<', "\\u003c").replace('>', "\\u003e")
}

/// Returns the hash of a script or style as a content security policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (bytes, text) in examples {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn data_stays_data() {
        let data = json!({"</script><!--{script}": "{data}\u{2028}\x1b<img>"});
        let text = inert(&data);
        assert!(!text.contains(['<', '>', '\u{2028}', '\x1b']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data);
        let page = page(data);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains(&text) && page.trim_end().ends_with("</html>"));
        assert!(!page.contains("{style}") && !page.contains("-hash}"));
    }

    #[test]
    fn assets_load_nothing() {
        for text in [PAGE, STYLE, SCRIPT] {
            for loader in
                ["src=", "href=\"h", "@import", "import(", "fetch(", "XMLHttp", "innerHTML", "eval("]
            {
                assert!(!text.contains(loader), "{loader}");
            }
            // a place in the page
            assert_eq!(text.matches("url(").count(), text.matches("url(#hatch)").count());
            // the name of the XML namespace of SVG is not an address
            assert_eq!(text.matches("http:").count(), text.matches("http://www.w3.org/2000/svg").count());
            assert!(!text.contains("https:"));
        }
    }
}

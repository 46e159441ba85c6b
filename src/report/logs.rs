//! Sets lines of logs beside the names of their containers.

use crate::logs::Line;

/// How lines of logs are printed.
pub struct LogLines {
    /// Characters of the longest name; `None` = there is one container, and no name.
    width: Option<usize>,
    times: bool,
}

impl LogLines {
    /// Sets lines behind these names, with the time of each if that is wished. A single name is
    /// left out.
    pub fn new<'a>(labels: impl Iterator<Item = &'a str>, times: bool) -> Self {
        let widths: Vec<usize> = labels.map(|label| label.chars().count()).collect();
        let several = widths.len() > 1;
        let width = widths.into_iter().max().filter(|_| several);
        Self { width, times }
    }

    /// Returns a line as text; ends in a line feed.
    pub fn text(&self, line: &Line) -> String {
        let Line {
            time, label, text, ..
        } = line;
        let name = self.width.map(|width| format!("{label:width$}  "));
        let time = time.filter(|_| self.times);
        let time = time.map(|time| format!("{time:.3}  "));
        let (name, time) = (name.unwrap_or_default(), time.unwrap_or_default());
        let line = format!("{name}{time}{text}");
        format!("{}\n", line.trim_end())
    }

    /// Returns a line as one line of JSON.
    pub fn json(line: &Line) -> String {
        let text = serde_json::to_string(line);
        text.unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, text: &str) -> Line {
        Line {
            time: "2026-02-11T14:03:02.123456789Z".parse().ok(),
            service: "web".to_owned(),
            container: "shop-web-1".to_owned(),
            label: label.to_owned(),
            stream: "stdout",
            text: text.to_owned(),
        }
    }

    #[test]
    fn names_are_aligned_where_there_are_several() {
        let one = LogLines::new(["web-1"].into_iter(), false);
        assert_eq!(one.text(&line("web-1", "a")), "a\n");
        let two = LogLines::new(["web-1", "worker-1"].into_iter(), false);
        assert_eq!(two.text(&line("web-1", "a  b")), "web-1     a  b\n");
        assert_eq!(two.text(&line("worker-1", "")), "worker-1\n");
        let timed = LogLines::new(["web-1"].into_iter(), true);
        assert_eq!(
            timed.text(&line("web-1", "a")),
            "2026-02-11T14:03:02.123Z  a\n"
        );
    }

    #[test]
    fn a_line_is_one_object() {
        assert_eq!(
            LogLines::json(&line("web-1", "a \"b\"")),
            "{\"time\":\"2026-02-11T14:03:02.123456789Z\",\"service\":\"web\",\
             \"container\":\"shop-web-1\",\"stream\":\"stdout\",\"text\":\"a \\\"b\\\"\"}\n"
        );
    }
}

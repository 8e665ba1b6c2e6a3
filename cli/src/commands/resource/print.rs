//! Tables and pages for people. Nothing is cut or wrapped, so that ids can be copied.

use std::fmt::Write as _;

/// Aligned columns under their heads.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = heads.iter().map(|&head| head.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        // A string takes whatever is written.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// A name and its value a line.
pub(crate) fn lines(lines: Vec<(&'static str, String)>) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in lines {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        let _ = writeln!(text, "{}", format!("{name:<width$}  {value}").trim_end());
    }
    text
}

/// What somebody else wrote: control characters of it do not reach a terminal.
pub(crate) fn cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = table(&["id", "name"], vec![row(["1", "größer"]), row(["12345", "x"])]);
        assert_eq!(text, "id     name\n1      größer\n12345  x\n");
        let text = lines(vec![("id", "1".into()), ("error", "a\nb".into()), ("none", String::new())]);
        assert_eq!(text, "id     1\nerror  a\n       b\nnone\n");
        assert_eq!(cell("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\nc");
    }
}

//! Tables for people: columns two blanks apart, no borders, the last column wrapped where the terminal ends.

/// On which side a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table that is being filled.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

const GAP: usize = 2;
/// Where less than this is left for the last column, it gets lines of its own below the others.
const NARROWEST: usize = 30;
/// How far these lines are moved to the right.
const HANGING: usize = 4;

impl Table {
    /// A table with these columns; where all headings are empty, none is printed.
    #[must_use]
    pub fn new(head: &[(&'static str, Side)]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), indent: 0 }
    }

    /// Moves the whole table to the right.
    #[must_use]
    pub fn indented(mut self, blanks: usize) -> Self {
        self.indent = blanks;
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Writes it out, for so many columns of a terminal if it goes to one. A column that is empty in every row is left
    /// out.
    #[must_use]
    pub fn render(&self, terminal: Option<usize>) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let shown: Vec<usize> =
            (0..self.head.len()).filter(|&c| self.rows.iter().any(|row| !cell(row, c).is_empty())).collect();
        let widths: Vec<usize> = shown.iter().map(|&c| self.width(c)).collect();
        let left: usize = self.indent + widths.iter().rev().skip(1).map(|width| width + GAP).sum::<usize>();
        let room = terminal.map(|all| all.saturating_sub(left));
        let mut out = String::new();
        if self.head.iter().any(|(title, _)| !title.is_empty()) {
            let titles: Vec<&str> = shown.iter().map(|&c| self.head[c].0).collect();
            self.line(&mut out, &titles, &shown, &widths);
        }
        for row in &self.rows {
            let mut cells: Vec<&str> = shown.iter().map(|&c| cell(row, c)).collect();
            let last = cells.pop().unwrap_or_default();
            let pieces = match (room, terminal) {
                (Some(room), Some(all)) if room < NARROWEST && last.chars().count() > room => {
                    self.line(&mut out, &cells, &shown, &widths);
                    let indent = self.indent + HANGING;
                    for piece in wrapped(last, all.saturating_sub(indent).max(NARROWEST)) {
                        out.push_str(&format!("{:indent$}{piece}\n", ""));
                    }
                    continue;
                }
                (Some(room), _) => wrapped(last, room),
                (None, _) => vec![last.to_owned()],
            };
            for (nth, piece) in pieces.iter().enumerate() {
                if nth > 0 {
                    cells.iter_mut().for_each(|cell| *cell = "");
                }
                cells.push(piece);
                self.line(&mut out, &cells, &shown, &widths);
                cells.pop();
            }
        }
        out
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| cell(row, column));
        cells.chain([self.head[column].0]).map(|text| text.chars().count()).max().unwrap_or_default()
    }

    fn line(&self, out: &mut String, cells: &[&str], shown: &[usize], widths: &[usize]) {
        let start = out.len();
        out.push_str(&" ".repeat(self.indent));
        for ((text, column), width) in cells.iter().zip(shown).zip(widths) {
            match self.head[*column].1 {
                Side::Left => out.push_str(&format!("{text:<width$}")),
                Side::Right => out.push_str(&format!("{text:>width$}")),
            }
            out.push_str(&" ".repeat(GAP));
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }
}

fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map_or("", String::as_str)
}

/// Breaks a text at its blanks into pieces of at most `room` characters, longer words excepted.
#[must_use]
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in text.split(' ') {
        let Some(piece) = pieces.last_mut() else { break };
        if piece.is_empty() {
            piece.push_str(word);
        } else if piece.chars().count() + 1 + word.chars().count() <= room {
            piece.push(' ');
            piece.push_str(word);
        } else {
            pieces.push(word.to_owned());
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn table() -> Table {
        let mut table =
            Table::new(&[("DATASET", Side::Left), ("SNAPS", Side::Right), ("EMPTY", Side::Left), ("WHY", Side::Left)]);
        table.row(["tank".into(), "7".into(), String::new(), "ok".into()]);
        table.row(["tank/home/ann".into(), "1200".into(), String::new(), "no good snapshot for three days now".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        assert_eq!(
            table().render(None),
            "DATASET        SNAPS  WHY\n\
             tank               7  ok\n\
             tank/home/ann   1200  no good snapshot for three days now\n"
        );
    }

    #[test]
    fn the_last_column_wraps_where_the_terminal_ends() {
        assert_eq!(
            table().render(Some(54)),
            "DATASET        SNAPS  WHY\n\
             tank               7  ok\n\
             tank/home/ann   1200  no good snapshot for three days\n\
             \x20                     now\n"
        );
    }

    #[test]
    fn on_a_narrow_terminal_the_last_column_gets_its_own_lines() {
        assert_eq!(
            table().render(Some(40)),
            "DATASET        SNAPS  WHY\n\
             tank               7  ok\n\
             tank/home/ann   1200\n\
             \x20   no good snapshot for three days now\n"
        );
    }

    #[test]
    fn an_empty_table_is_nothing() {
        assert_eq!(Table::new(&[("A", Side::Left)]).render(None), "");
    }
}

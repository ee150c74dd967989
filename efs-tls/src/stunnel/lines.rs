//! The text as sections, options and values, each with its line number (first = 1).

use super::StunnelError;

/// `option = value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) option: &'a str,
    pub(super) value: &'a str,
}

/// `[name]` and what follows it.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

/// A whole file: what stands above the first section, and the sections.
#[derive(Debug, Default)]
pub(super) struct Sections<'a> {
    pub(super) head: Vec<Line<'a>>,
    pub(super) services: Vec<Section<'a>>,
}

pub(super) fn read(text: &str) -> Result<Sections<'_>, StunnelError> {
    let mut sections = Sections::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.begin(number, name.trim())?;
            continue;
        }
        let (option, value) = line.split_once('=').ok_or_else(|| syntax(number, line))?;
        let line = Line { number, option: option.trim(), value: value.trim() };
        match sections.services.last_mut() {
            Some(service) => service.lines.push(line),
            None => sections.head.push(line),
        }
    }
    Ok(sections)
}

impl<'a> Sections<'a> {
    fn begin(&mut self, line: usize, name: &'a str) -> Result<(), StunnelError> {
        if let Some(first) = self.services.iter().find(|service| service.name == name) {
            return Err(StunnelError::RepeatedService { line, service: name.to_owned(), first: first.line });
        }
        self.services.push(Section { line, name, lines: Vec::new() });
        Ok(())
    }
}

/// Only the first word is shown: what follows it may be a password whose `=` was forgotten.
fn syntax(line: usize, text: &str) -> StunnelError {
    let found = text.split_whitespace().next().unwrap_or_default().to_owned();
    StunnelError::Syntax { line, found }
}

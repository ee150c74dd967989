//! The count of cases, and the list of those that are known to fail.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) struct Report {
    known: BTreeMap<String, String>,
    kinds: BTreeMap<&'static str, [usize; 3]>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(known: &[(&str, &str)]) -> Self {
        let known = known.iter().map(|(case, reason)| (case.to_string(), reason.to_string())).collect();
        Self { known, kinds: BTreeMap::new(), failures: Vec::new() }
    }

    /// Counts a case as passed if `check` finds no difference. A panic is one.
    pub(crate) fn add(&mut self, kind: &'static str, case: &str, check: impl FnOnce() -> Vec<String>) {
        let differences =
            catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| vec!["panicked, see above".to_owned()]);
        let [passed, failed, known] = self.kinds.entry(kind).or_default();
        match (differences.is_empty(), self.known.get(case)) {
            (true, None) => *passed += 1,
            (false, Some(_)) => *known += 1,
            (false, None) => {
                *failed += 1;
                self.failures.extend(differences.iter().map(|difference| format!("{case}: {difference}")));
            }
            (true, Some(reason)) => {
                *failed += 1;
                self.failures.push(format!("{case}: passes, though known to fail ({reason}); take it off the list"));
            }
        }
    }

    pub(crate) fn counts(&self) -> String {
        let line = |(kind, [passed, failed, known]): (&&str, &[usize; 3])| {
            format!("{kind:<12} passed {passed:>3}  failed {failed:>3}  known {known:>3}\n")
        };
        self.kinds.iter().map(line).collect()
    }

    pub(crate) fn verdict(&self) -> Result<(), String> {
        if self.kinds.is_empty() {
            return Err("the folder holds no case".to_owned());
        }
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n")) }
    }
}

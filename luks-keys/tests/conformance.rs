//! Runs the vectors of `tests/vectors/luks`, or of the folder in `CONFORMANCE_VECTORS` or its sub-folder `luks`: volumes
//! made by cryptsetup 2.6.1, qemu and dm-crypt, and headers that were damaged or forged.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

#[path = "conformance/corrupt.rs"]
mod corrupt;
#[path = "conformance/images.rs"]
mod images;
#[path = "conformance/vectors.rs"]
mod vectors;

use std::io::Write as _;

use peak_alloc::PeakAlloc;

use self::vectors::Folder;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One test, because the memory of a case is that of the process.
#[test]
fn every_vector_holds() {
    let folder = Folder::find();
    let mut report = Report::default();
    images::run(&folder, &mut report);
    corrupt::run(&folder, &mut report);
    let Report { passed, known, failures } = report;
    // Written past the capture of libtest, so that the counts are seen when all is well.
    let counts = format!("passed {passed}, failed {}, known {known}", failures.len());
    write!(std::io::stdout(), "\nvectors of {}\n{counts}\n", folder.path().display()).unwrap();
    assert!(passed > 0, "no case in {}", folder.path().display());
    assert!(failures.is_empty(), "{counts}\n{}", failures.join("\n"));
}

#[derive(Default)]
struct Report {
    passed: usize,
    known: usize,
    failures: Vec<String>,
}

impl Report {
    /// `known`: this case is expected to fail. One that passes all the same fails, so that the list stays true.
    fn add(&mut self, name: &str, result: Result<(), String>, known: Option<&str>) {
        match (result, known) {
            (Ok(()), None) => self.passed += 1,
            (Err(_), Some(_)) => self.known += 1,
            (Err(failure), None) => self.failures.push(format!("{name}: {failure}")),
            (Ok(()), Some(why)) => self.failures.push(format!("{name}: passes, though it was known to fail: {why}")),
        }
    }
}

/// Compares two values for [`Report::add`].
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

//! The JSON area: one object, then NULs.

use crate::fields::is_zero;

use super::Luks2Violation;
use super::json::Json;

/// The five objects that must be there; others are kept.
const REQUIRED: [&str; 5] = ["keyslots", "tokens", "segments", "digests", "config"];

/// Reads the whole JSON area.
pub(super) fn parse(area: &[u8]) -> Result<Json, Luks2Violation> {
    // cryptsetup does not skip blanks in front, though the specification does not say so.
    if area.first() != Some(&b'{') {
        return Err(Luks2Violation::Json("it does not begin with `{`".to_owned()));
    }
    let end = area.iter().position(|byte| *byte == 0).ok_or(Luks2Violation::Tail)?;
    let (text, tail) = area.split_at_checked(end).unwrap_or((area, &[]));
    if !is_zero(tail) {
        return Err(Luks2Violation::Tail);
    }
    let text = std::str::from_utf8(text).map_err(|error| Luks2Violation::Json(error.to_string()))?;
    let document = Json::parse(text)?;
    for name in REQUIRED {
        match document.get(name) {
            Some(Json::Object(_)) => {}
            Some(_) => return Err(Luks2Violation::Value { path: name.to_owned(), expected: "an object" }),
            None => return Err(Luks2Violation::Missing(name.to_owned())),
        }
    }
    Ok(document)
}

//! The grammar of SPIFFE-ID section 2, byte by byte. No URL parser: each one normalises something.

use super::SpiffeIdError;

pub(super) const SCHEME: &str = "spiffe://";

/// Every reader must support that many; nobody should make more (section 2.3).
const MAX_ID: usize = 2048;
const MAX_DOMAIN: usize = 255;

/// Returns where the trust domain ends.
pub(super) fn check_id(id: &[u8]) -> Result<usize, SpiffeIdError> {
    if id.len() > MAX_ID {
        return Err(SpiffeIdError::TooLong { length: id.len() });
    }
    let Some(rest) = id.strip_prefix(SCHEME.as_bytes()) else {
        let head = id.get(..SCHEME.len()).unwrap_or_default();
        let capitals = head.eq_ignore_ascii_case(SCHEME.as_bytes());
        return Err(if capitals { SpiffeIdError::Capitals } else { SpiffeIdError::Scheme });
    };
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (domain, path) = rest.split_at(slash);
    check_domain(domain)?;
    if !path.is_empty() {
        check_path(path)?;
    }
    Ok(SCHEME.len() + slash)
}

pub(super) fn check_domain(domain: &[u8]) -> Result<(), SpiffeIdError> {
    if domain.is_empty() {
        return Err(SpiffeIdError::NoTrustDomain);
    }
    if let Some(byte) = domain.iter().copied().find(|byte| !in_domain(*byte)) {
        return Err(match byte {
            b'?' | b'#' => SpiffeIdError::QueryOrFragment { mark: byte },
            b'@' | b':' => SpiffeIdError::UserOrPort { mark: byte },
            b'[' => SpiffeIdError::Brackets,
            b'A'..=b'Z' => SpiffeIdError::Capitals,
            _ => SpiffeIdError::TrustDomainByte { byte },
        });
    }
    if domain.len() > MAX_DOMAIN {
        return Err(SpiffeIdError::TrustDomainTooLong { length: domain.len() });
    }
    Ok(())
}

/// `path` has its leading `/`.
pub(super) fn check_path(path: &[u8]) -> Result<(), SpiffeIdError> {
    let Some(segments) = path.strip_prefix(b"/") else {
        return Err(SpiffeIdError::RelativePath);
    };
    let mut segments = segments.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        check_segment(segment, segments.peek().is_none())?;
    }
    Ok(())
}

fn check_segment(segment: &[u8], last: bool) -> Result<(), SpiffeIdError> {
    match segment {
        b"" if last => return Err(SpiffeIdError::TrailingSlash),
        b"" => return Err(SpiffeIdError::EmptySegment),
        b"." | b".." => return Err(SpiffeIdError::DotSegment),
        _ => {}
    }
    match segment.iter().copied().find(|byte| !in_path(*byte)) {
        None => Ok(()),
        Some(b'%') => Err(SpiffeIdError::PercentEncoding),
        Some(mark @ (b'?' | b'#')) => Err(SpiffeIdError::QueryOrFragment { mark }),
        Some(byte) => Err(SpiffeIdError::PathByte { byte }),
    }
}

fn in_domain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')
}

fn in_path(byte: u8) -> bool {
    in_domain(byte) || byte.is_ascii_uppercase()
}

//! From what rustls or the socket says to what a person can act on.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::{BoxError, ConnectError, TlsFailure, TlsVersion, Untrusted};

/// Why the handshake failed. The verifier's own verdict, where there is one, goes before this.
pub(crate) fn handshake_error(error: io::Error, first_bytes: &[u8], minimum: TlsVersion) -> ConnectError {
    if !looks_like_tls(first_bytes) {
        let reason = TlsFailure::NotTls { looks_like: protocol_of(first_bytes) };
        return ConnectError::Tls { reason, source: error.into() };
    }
    let Some(cause) = tls_error(&error) else {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => TlsFailure::Closed,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                TlsFailure::Reset
            }
            _ => TlsFailure::Transport,
        };
        return ConnectError::Tls { reason, source: error.into() };
    };
    let nothing_in_common = |what: String| TlsFailure::NothingInCommon { what, minimum };
    let reason = match cause {
        Error::NoCertificatesPresented => {
            return ConnectError::Untrusted { reason: Untrusted::NoCertificate, source: Some(error.into()) };
        }
        Error::InvalidCertificate(cause) => return bad_certificate(&cause.clone(), error.into()),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            nothing_in_common("the peer supports no TLS version that we offer (alert protocol_version)".into())
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            nothing_in_common("the peer supports no application protocol (ALPN) that we offer".into())
        }
        Error::PeerIncompatible(what) => nothing_in_common(spaced(&format!("{what:?}"))),
        Error::AlertReceived(alert) => TlsFailure::Alert { description: alert_name(*alert) },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFailure::NotTls { looks_like: None },
        _ => TlsFailure::Other,
    };
    ConnectError::Tls { reason, source: error.into() }
}

/// An error of an established stream. In TLS 1.3 the peer's refusal of our certificate arrives here, after our side of
/// the handshake is complete (RFC 8446 section 4.4.2.4), so alerts get the same words as in the handshake.
pub(crate) fn stream_error(error: io::Error) -> io::Error {
    let Some(Error::AlertReceived(alert)) = tls_error(&error) else { return error };
    let reason = TlsFailure::Alert { description: alert_name(*alert) };
    io::Error::new(error.kind(), ConnectError::Tls { reason, source: error.into() })
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Reached only for signatures over the handshake: the chain is judged by our verifier.
fn bad_certificate(cause: &CertificateError, source: BoxError) -> ConnectError {
    let what = match cause {
        CertificateError::BadSignature => "the peer does not hold the private key of its certificate".to_owned(),
        other => other.to_string(),
    };
    ConnectError::Untrusted { reason: Untrusted::Invalid { what }, source: Some(source) }
}

/// Nothing at all counts as TLS: the peer may have closed before it said anything.
fn looks_like_tls(first_bytes: &[u8]) -> bool {
    // ContentType change_cipher_spec(20) to application_data(23), then a version whose high byte is 3 (RFC 8446
    // section 5.1).
    match first_bytes {
        [] => true,
        [content_type] => (20..=23).contains(content_type),
        [content_type, version, ..] => (20..=23).contains(content_type) && *version == 3,
    }
}

fn protocol_of(first_bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"HTTP/", "HTTP"),
        (b"SSH-", "SSH"),
        (b"220 ", "SMTP or FTP"),
        (b"* OK", "IMAP"),
        (b"-ERR", "Redis or POP3"),
        (b"-NOAUTH", "Redis"),
        (b"+PONG", "Redis"),
        (b"<", "HTML or XML"),
    ];
    KNOWN.iter().find(|(prefix, _)| first_bytes.starts_with(prefix)).map(|(_, name)| *name)
}

/// `HandshakeFailure` → `handshake_failure`, the spelling of RFC 8446 section 6.
fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(code) => format!("unknown({code})"),
        AlertDescription::UnknownCA => "unknown_ca".into(),
        AlertDescription::UnknownPSKIdentity => "unknown_psk_identity".into(),
        known => spaced(&format!("{known:?}")).replace(' ', "_"),
    }
}

/// `NoCipherSuitesInCommon` → `no cipher suites in common`.
fn spaced(camel: &str) -> String {
    let mut text = String::with_capacity(camel.len() + 8);
    for (i, letter) in camel.char_indices() {
        if letter.is_ascii_uppercase() && i > 0 {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_spelled_as_in_the_rfc() {
        let names = [AlertDescription::HandshakeFailure, AlertDescription::UnknownCA, AlertDescription::from(250)]
            .map(alert_name);
        assert_eq!(names, ["handshake_failure", "unknown_ca", "unknown(250)"]);
    }

    #[test]
    fn first_bytes_tell_tls_from_other_protocols() {
        for tls in [&[][..], &[22], &[21, 3, 3, 0, 2]] {
            assert!(looks_like_tls(tls), "{tls:?}");
        }
        for (other, name) in [(&b"HTTP/1.1 400"[..], Some("HTTP")), (b"-ERR", Some("Redis or POP3")), (&[22, 9], None)]
        {
            assert!(!looks_like_tls(other));
            assert_eq!(protocol_of(other), name);
        }
    }
}

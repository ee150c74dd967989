//! The numbered rules that errors and reports name.

use std::fmt;

/// One demand of the SPIFFE specifications, or of a standard that they rest on.
///
/// The numbers are this crate's: `I` identifiers, `W` Workload API, `X` X.509-SVIDs, `J` JWT-SVIDs, `B` bundles. They
/// stay the same from version to version, so that logs and dashboards can count by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rule {
    /// For example `X-04`.
    pub number: &'static str,
    /// Where it is written, for example `X509-SVID 5.2`.
    pub section: &'static str,
    /// What it demands.
    pub demand: &'static str,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.number, self.section)
    }
}

macro_rules! rules {
    ($($name:ident $number:literal $section:literal $demand:literal)*) => {
        $(pub(crate) const $name: Rule = Rule { number: $number, section: $section, demand: $demand };)*
    };
}

rules! {
    I01 "I-01" "SPIFFE-ID 2" "the scheme is `spiffe`, followed by `//`"
    I02 "I-02" "SPIFFE-ID 2" "no query and no fragment, not even empty ones"
    I03 "I-03" "SPIFFE-ID 2.1" "the trust domain is not empty"
    I04 "I-04" "SPIFFE-ID 2.1" "no user and no port, not even empty ones"
    I06 "I-06" "SPIFFE-ID 2.1" "no address in brackets"
    I08 "I-08" "SPIFFE-ID 2.1" "the trust domain has only a-z, 0-9, `.`, `-` and `_`"
    I09 "I-09" "SPIFFE-ID 2.1" "scheme and trust domain are in lower case"
    I11 "I-11" "SPIFFE-ID 2.2" "the path has no percent-encoding"
    I12 "I-12" "SPIFFE-ID 2.2" "no segment of the path is empty"
    I13 "I-13" "SPIFFE-ID 2.2" "no segment of the path is `.` or `..`"
    I14 "I-14" "SPIFFE-ID 2.2" "there is no `/` at the end"
    I16 "I-16" "SPIFFE-ID 2.2" "the path has only a-z, A-Z, 0-9, `.`, `-` and `_` between its slashes"
    I18 "I-18" "SPIFFE-ID 2.3" "the whole is at most 2048 bytes long"
    I19 "I-19" "SPIFFE-ID 2.3" "the trust domain is at most 255 bytes long"
    W03 "W-03" "Workload Endpoint 4" "the address is `unix:` with an absolute path or `tcp://` with IP address and port, and nothing else"
    X00 "X-00" "RFC 8446 4.4.2" "there is a certificate, with a key that TLS can use safely"
    X01 "X-01" "X509-SVID 2" "there is a URI in the subject alternative name"
    X02 "X-02" "X509-SVID 5.2" "there is no second URI in the subject alternative name"
    X04 "X-04" "X509-SVID 5.2" "the ID of a leaf has a path"
    X05 "X-05" "RFC 5280 4.1.2.6" "without a subject, the subject alternative name is critical"
    X06 "X-06" "X509-SVID 5.2" "the URI is a SPIFFE ID"
    X07 "X-07" "X509-SVID 3.2" "a signing certificate should have a SPIFFE ID itself"
    X08 "X-08" "X509-SVID 3.2" "the ID of a signing certificate has no path"
    X09 "X-09" "X509-SVID 3.2" "a signing certificate should be in the trust domain of its leaf"
    X10 "X-10" "X509-SVID 5.2" "a leaf is no certificate authority"
    X11 "X-11" "X509-SVID 4.1" "a signing certificate has cA set"
    X12 "X-12" "RFC 5280 4.2.1.9" "path length constraints hold"
    X13 "X-13" "X509-SVID 4.3" "there is a key usage, and it is critical"
    X14 "X-14" "X509-SVID 4.3" "the key usage of a leaf has digitalSignature"
    X15 "X-15" "X509-SVID 5.2" "the key usage of a leaf has no keyCertSign"
    X16 "X-16" "X509-SVID 5.2" "the key usage of a leaf has no cRLSign"
    X18 "X-18" "X509-SVID 4.3" "the key usage of a signing certificate has keyCertSign"
    X19 "X-19" "X509-SVID 4.4" "where a signing certificate lists purposes, serverAuth and clientAuth are among them"
    X20 "X-20" "X509-SVID 4.4" "where a leaf lists purposes, serverAuth and clientAuth are among them"
    X21 "X-21" "X509-SVID 5.1" "a path of signatures leads to a root of the trust domain"
    X22 "X-22" "RFC 5280 6.1.3" "every certificate of the path is inside its validity period"
    X23 "X-23" "Workload API 4.6" "the roots are those of the ID's own trust domain"
    X24 "X-24" "RFC 5280 4.2" "no critical extension is unknown"
    X25 "X-25" "RFC 5280 4.2" "every extension is well formed and there once"
    X26 "X-26" "X.690 10" "the encoding is DER, with nothing behind it"
    X27 "X-27" "Workload API 5.2" "the private key is that of the leaf"
    X28 "X-28" "limit" "the chain is not too long"
    X29 "X-29" "RFC 5280 6.3" "no certificate of the path is revoked"
    X30 "X-30" "X509-SVID 4.2" "name constraints hold"
    J01 "J-01" "JWT-SVID 2" "the header has nothing but alg, kid and typ"
    J02 "J-02" "JWT-SVID 2.1" "alg is RS, ES or PS with 256, 384 or 512"
    J03 "J-03" "JWT-SVID 2.2" "kid names the key"
    J04 "J-04" "JWT-SVID 2.3" "typ, if there, is JWT or JOSE"
    J05 "J-05" "JWT-SVID 3.1" "sub is the SPIFFE ID of a workload"
    J06 "J-06" "JWT-SVID 3.2" "aud is there and names the reader"
    J07 "J-07" "JWT-SVID 3.3" "exp is there and is a number"
    J08 "J-08" "JWT-SVID 3.3" "exp is not past"
    J09 "J-09" "RFC 7519 4.1.5" "nbf, if there, is past"
    J10 "J-10" "JWT-SVID 1" "the token is a JWS in compact serialisation"
    J11 "J-11" "RFC 7515 5.2" "the signature is that of the key, and the key is one for alg"
    J12 "J-12" "Workload API 6.3" "the key is one of the ID's own trust domain"
    J13 "J-13" "RFC 7519 4" "no member is there twice"
    B01 "B-01" "Bundle 4.1.3" "the document is a JSON object with an array `keys`"
    B02 "B-02" "JWT-SVID 6.1" "a jwt-svid key has a kid"
    B04 "B-04" "X509-SVID 6.2" "an x509-svid key has a certificate in x5c"
    B07 "B-07" "Bundle 4.2.1" "kty is known"
    B08 "B-08" "Bundle 4.2.2" "use is x509-svid or jwt-svid"
    B09 "B-09" "RFC 7517 4.7" "x5c holds the CA certificate of the key, DER in base64"
    B10 "B-10" "RFC 7518 6" "the key is well formed and strong enough"
    B12 "B-12" "Bundle 4.1.1" "spiffe_sequence is an unsigned 64-bit number that grows"
    B13 "B-13" "Bundle 4.1.2" "spiffe_refresh_hint is a whole number of seconds"
    B14 "B-14" "Bundle 5.1.1" "trust_domains is an object, with every trust domain once"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_shown_by_number_and_section() {
        assert_eq!(X04.to_string(), "[X-04, X509-SVID 5.2]");
    }
}

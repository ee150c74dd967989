//! The judgement of a certificate, without a connection.

use std::time::Duration;

use rcgen::DnValue;
use secure_connector_testkit::efs::{
    Admission, AdmissionRules, Claims, KnownKey, Part, Principal, Refusal, TokenFault, Verdict,
};
use secure_connector_testkit::{Clock, TestPki};

use crate::forged::{
    ACCESS_POINT, CLIENT_AUTH, CLIENT_INFO, FILE_SYSTEM, Forged, KEY_IDENTIFIER, client_auth, client_auth_signed_at,
    octets, sequence, tlv, utf8,
};
use crate::vectors::{ROLE, Vector};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";

#[test]
fn every_certificate_of_the_mount_helper_is_admitted() {
    let with_inputs: Vec<_> = Vector::all().into_iter().filter(|vector| vector.input("fs_id").is_some()).collect();
    assert_eq!(with_inputs.len(), 8);
    for vector in with_inputs {
        let judgement = vector.rules().judge(vector.certificate().chain_der());
        let principal = match vector.input("access_key_id") {
            None => Principal::Anonymous,
            Some(id) => iam(id),
        };
        assert_eq!(judgement.verdict, Verdict::Admitted(principal), "{}", vector.name());
        let claims = judgement.claims.unwrap();
        assert_eq!(claims.common_name, vector.input("common_name").unwrap());
        assert_eq!(Some(claims.file_system.as_str()), vector.input("fs_id"));
        assert_eq!(claims.access_point.as_deref(), vector.input("access_point_id"));
        assert_eq!(claims.access_key_id.as_deref(), vector.input("access_key_id"));
        assert_eq!(claims.signed_at, claims.access_key_id.map(|_| vector.now()));
        assert_eq!((claims.source.as_str(), claims.client_version.as_str()), ("unknown", "3.2.0"));
        assert_eq!(claims.not_after, vector.now() + 3 * HOUR);
    }
}

#[test]
fn a_renewal_of_the_watchdog_is_admitted_with_its_leading_spaces() {
    let renewal = Vector::case("15");
    let rules = Vector::case("03").rules().clock(Clock::fixed(renewal.now()));
    let judgement = rules.judge(renewal.certificate().chain_der());
    assert_eq!(judgement.verdict, Verdict::Admitted(iam(KEY_ID)));
    let Claims { source, client_version, .. } = judgement.claims.unwrap();
    assert_eq!((source.as_str(), client_version.as_str()), (" unknown", " 3.2.0"));
}

#[test]
fn the_forgery_with_nothing_wrong_is_the_mount_helpers_certificate() {
    assert_eq!(Forged::case_03().der(), Vector::case("03").certificate().leaf_der());
}

#[test]
fn anonymous_clients_are_admitted_by_choice() {
    let case = Vector::case("08");
    for chain in [case.certificate().chain_der(), &[]] {
        let rules = case.rules();
        assert_eq!(rules.judge(chain).verdict, Verdict::Admitted(Principal::Anonymous));
        let rules = rules.admission(Admission::IamOnly);
        assert_eq!(rules.judge(chain).verdict, Verdict::Refused(Refusal::AnonymousNotAllowed));
    }
    let with_iam = Vector::case("03");
    let verdict = with_iam.rules().admission(Admission::IamOnly).judge(with_iam.certificate().chain_der()).verdict;
    assert_eq!(verdict, Verdict::Admitted(iam(KEY_ID)));
}

#[test]
fn the_dates_of_the_certificate_include_both_ends() {
    let now = Vector::case("08").now();
    let (not_before, not_after) = (now - 15 * MINUTE, now + 3 * HOUR);
    let verdict = |now| {
        let case = Vector::case("08");
        case.rules().clock(Clock::fixed(now)).judge(case.certificate().chain_der()).verdict
    };
    let anonymous = Verdict::Admitted(Principal::Anonymous);
    let early = not_before - Duration::from_millis(1);
    assert_eq!(verdict(early), Verdict::Refused(Refusal::NotYetValid { not_before, now: early }));
    assert_eq!(verdict(not_before), anonymous);
    assert_eq!(verdict(not_after + Duration::from_millis(999)), anonymous);
    let late = not_after + Duration::from_secs(1);
    assert_eq!(verdict(late), Verdict::Refused(Refusal::Expired { not_after, now: late }));
}

#[test]
fn the_file_system_and_the_access_point_must_be_ours() {
    let case = Vector::case("03");
    let rules = || case.rules();
    admitted(rules().access_point("fsap-00000000000000000").access_point("fsap-0123456789abcdef0"));
    refused(
        rules().access_point("fsap-00000000000000000"),
        Refusal::UnknownAccessPoint { found: "fsap-0123456789abcdef0".to_owned() },
    );
    refused(
        AdmissionRules::new("fs-00000000000000000", "us-east-1").clock(Clock::fixed(case.now())),
        Refusal::WrongFileSystem {
            expected: "fs-00000000000000000".to_owned(),
            found: "fs-0123456789abcdef0".to_owned(),
        },
    );
    // A client that asks for no access point is not bound by the list.
    let without = Vector::case("02");
    let verdict =
        without.rules().access_point("fsap-00000000000000000").judge(without.certificate().chain_der()).verdict;
    assert_eq!(verdict, Verdict::Admitted(iam(KEY_ID)));
}

#[test]
fn the_key_its_secret_and_its_token_must_be_known() {
    let case = Vector::case("03");
    let id = || KEY_ID.to_owned();
    let secret = case.input("secret_access_key").unwrap();
    let rules = |key| AdmissionRules::new("fs-0123456789abcdef0", "us-east-1").clock(Clock::fixed(case.now())).key(key);
    admitted(rules(case.key(KEY_ID, secret)));
    refused(rules(case.key("ASIAANOTHER", secret)), Refusal::UnknownAccessKey { access_key_id: id() });
    refused(rules(case.key(KEY_ID, "another secret")), Refusal::SignatureMismatch { access_key_id: id() });
    let token = |fault| Refusal::SessionToken { access_key_id: id(), fault };
    refused(rules(KnownKey::new(KEY_ID, secret, ROLE)), token(TokenFault::Unexpected));
    refused(rules(KnownKey::new(KEY_ID, secret, ROLE).session_token("other")), token(TokenFault::Different));
    let signature = case.text("signature_hex").unwrap();
    refused_as_forged(
        Forged::case_03().with(CLIENT_AUTH, client_auth(signature, "240305060708Z", None)),
        token(TokenFault::Missing),
    );
}

#[test]
fn the_scope_of_the_signature_must_be_ours() {
    let mismatch = Refusal::SignatureMismatch { access_key_id: KEY_ID.to_owned() };
    let case = Vector::case("03");
    let key = case.key(KEY_ID, case.input("secret_access_key").unwrap());
    let rules = |region| AdmissionRules::new("fs-0123456789abcdef0", region).clock(Clock::fixed(case.now()));
    admitted(rules("us-east-1").key(key.clone()));
    refused(rules("eu-west-1").key(key.clone()), mismatch.clone());
    refused(rules("us-east-1").key(key).service("s3files"), mismatch);
}

#[test]
fn the_signature_of_a_stock_sigv4_library_is_recognized() {
    let negative = Vector::case("negative-standard-sigv4");
    let case = Vector::case("03");
    let auth = client_auth(negative.text("signature_hex").unwrap(), "240305060708Z", case.input("session_token"));
    refused_as_forged(
        Forged::case_03().with(CLIENT_AUTH, auth),
        Refusal::StandardSigV4 { access_key_id: KEY_ID.to_owned() },
    );
}

#[test]
fn the_time_signed_is_near_and_within_the_certificate() {
    let now = Vector::case("03").now();
    let mut long = Forged::case_03().with(CLIENT_AUTH, client_auth_signed_at("20240305", "061207"));
    let ahead = now + Duration::from_secs(4 * 60 + 59);
    let rules = Vector::case("03").rules();
    assert_eq!(verdict(&rules, &long), Verdict::Admitted(iam(KEY_ID)));
    let strict = rules.clone().allowed_skew(4 * MINUTE);
    let skew = Refusal::Skew { signed_at: ahead, now, allowed: 4 * MINUTE };
    assert_eq!(verdict(&strict, &long), Verdict::Refused(skew));

    long = Forged::case_03().with(CLIENT_AUTH, client_auth_signed_at("20240305", "052208"));
    let signed_at = now - 45 * MINUTE;
    let (not_before, not_after) = (long.not_before, long.not_after);
    let outside = Refusal::SignedOutsideValidity { signed_at, not_before, not_after };
    assert_eq!(verdict(&rules, &long), Verdict::Refused(outside));
    long.not_before = signed_at;
    assert_eq!(verdict(&rules, &long), Verdict::Admitted(iam(KEY_ID)));

    long.not_after = now + 48 * HOUR;
    let day = |offset: Duration| rules.clone().clock(Clock::fixed(signed_at + 24 * HOUR - offset));
    assert_eq!(verdict(&day(Duration::from_secs(1)), &long), Verdict::Admitted(iam(KEY_ID)));
    let expired = Refusal::SignatureExpired { signed_at, now: signed_at + 24 * HOUR };
    assert_eq!(verdict(&day(Duration::ZERO), &long), Verdict::Refused(expired));
}

#[test]
fn a_year_of_two_digits_is_of_1950_to_2049() {
    let signed_at = humantime::parse_rfc3339("1999-03-05T06:07:08Z").unwrap();
    let auth = client_auth(&"0".repeat(64), "990305060708Z", Vector::case("03").input("session_token"));
    let now = Vector::case("03").now();
    refused_as_forged(Forged::case_03().with(CLIENT_AUTH, auth), Refusal::SignatureExpired { signed_at, now });
}

#[test]
fn a_chain_is_refused() {
    let der = Forged::case_03().der();
    let verdict = Vector::case("03").rules().judge(&[der.clone(), der]).verdict;
    assert_eq!(verdict, Verdict::Refused(Refusal::Chain { found: 2 }));
}

#[test]
fn the_certificate_must_be_self_signed_in_name_and_fact() {
    let mut forged = Forged::case_03();
    forged.issuer = Some("an authority");
    refused_as_forged(forged, Refusal::IssuerIsNotSubject);

    let mut der = Forged::case_03().der();
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(verdict_on_der(der), Verdict::Refused(Refusal::SelfSignature));

    let mut forged = Forged::case_03();
    forged.algorithm = &rcgen::PKCS_RSA_SHA384;
    refused_as_forged(forged, Refusal::SignatureAlgorithm { found: "1.2.840.113549.1.1.12".to_owned() });
}

#[test]
fn the_certificate_must_be_der_of_version_3_with_an_rsa_key() {
    let certificate = |why| Verdict::Refused(Refusal::Malformed { part: Part::Certificate, why });
    let good = Forged::case_03().der();
    assert_eq!(verdict_on_der(good.clone()), Verdict::Admitted(iam(KEY_ID)));
    assert_eq!(verdict_on_der([good.as_slice(), &[0]].concat()), certificate("there is more than expected"));
    assert_eq!(verdict_on_der(good[..good.len() - 1].to_vec()), certificate("it ends within a value"));
    assert_eq!(verdict_on_der(Vec::new()), certificate("it ends where a value is expected"));

    let version = good.windows(5).position(|window| window == [0xa0, 3, 2, 1, 2]).unwrap();
    let mut version_2 = good;
    version_2[version + 4] = 1;
    assert_eq!(verdict_on_der(version_2), certificate("it is not of version 3"));

    let ecdsa = TestPki::new().unwrap().leaf().common_name("client").self_signed().unwrap();
    assert_eq!(verdict_on_der(ecdsa.leaf_der().to_vec()), certificate("the public key is not an RSA key"));

    let mut generalized_time = Forged::case_03();
    generalized_time.not_after = humantime::parse_rfc3339("2051-01-01T00:00:00Z").unwrap();
    assert_eq!(verdict_on_der(generalized_time.der()), certificate("a value is of another type than expected"));
}

#[test]
fn the_subject_is_one_common_name_in_utf8() {
    let subject = |why| Refusal::Malformed { part: Part::Subject, why };
    let mut forged = Forged::case_03();
    forged.common_name = DnValue::PrintableString("client".try_into().unwrap());
    refused_as_forged(forged, subject("a value is of another type than expected"));
    let mut forged = Forged::case_03();
    forged.common_name = "x".repeat(65).into();
    refused_as_forged(forged, subject("it is not of 1 to 64 characters"));
    let mut forged = Forged::case_03();
    forged.common_name = "x".repeat(64).into();
    assert_eq!(verdict(&Vector::case("03").rules(), &forged), Verdict::Admitted(iam(KEY_ID)));
}

#[test]
fn the_extensions_are_those_of_efs_in_order_and_not_critical() {
    let oids = |suffixes: &[&str]| suffixes.iter().map(|suffix| (*suffix).to_owned()).collect::<Vec<_>>();
    let [key, point, auth, system, info] =
        ["2.5.29.14", "1.3.6.1.4.1.4843.7.1", "1.3.6.1.4.1.4843.7.2", "1.3.6.1.4.1.4843.7.3", "1.3.6.1.4.1.4843.7.4"];
    let all = oids(&[key, point, auth, system, info]);
    let list =
        |expected: &[String], found: &[&str]| Refusal::Extensions { expected: expected.to_vec(), found: oids(found) };

    let mut swapped = Forged::case_03();
    swapped.extensions.swap(1, 2);
    refused_as_forged(swapped, list(&all, &[key, auth, point, system, info]));

    let mut without_info = Forged::case_03();
    without_info.extensions.pop();
    refused_as_forged(without_info, list(&all, &[key, point, auth, system]));

    let mut without_key_identifier = Forged::case_03();
    without_key_identifier.extensions.remove(0);
    refused_as_forged(without_key_identifier, list(&all, &[point, auth, system, info]));

    let mut with_usage = Forged::case_03();
    with_usage.extensions.push((&[2, 5, 29, 15], false, vec![3, 2, 7, 0x80]));
    refused_as_forged(with_usage, list(&all, &[key, point, auth, system, info, "2.5.29.15"]));

    let mut twice = Forged::case_03();
    twice.extensions.insert(4, twice.extensions[3].clone());
    refused_as_forged(twice, list(&all, &[key, point, auth, system, system, info]));

    for (index, oid) in all.iter().enumerate() {
        let mut critical = Forged::case_03();
        critical.extensions[index].1 = true;
        refused_as_forged(critical, Refusal::CriticalExtension { oid: oid.clone() });
    }
}

#[test]
fn the_key_identifier_is_the_hash_of_the_key() {
    let other = octets(&[1; 20]);
    refused_as_forged(
        Forged::case_03().with(KEY_IDENTIFIER, other),
        Refusal::SubjectKeyIdentifier {
            expected: "ba8e2c1d31faad4cddd423d5a75201b6bb0bd6e7".to_owned(),
            found: "01".repeat(20),
        },
    );
}

#[test]
fn each_extension_is_the_der_of_its_type() {
    const OTHER_TYPE: &str = "a value is of another type than expected";
    const MORE: &str = "there is more than expected";
    const LONGER: &str = "a length is longer than it needs to be";
    let good = |oid: &[u64]| Forged::case_03().extensions.into_iter().find(|extension| extension.0 == oid).unwrap().2;
    let auth = good(CLIENT_AUTH);
    let signature = auth[25..25 + 66].to_vec();
    let (id, time) = (utf8(KEY_ID), tlv(0x17, b"240305060708Z"));
    for (oid, value, part, why) in [
        (KEY_IDENTIFIER, [good(KEY_IDENTIFIER), vec![0]].concat(), Part::SubjectKeyIdentifier, MORE),
        (KEY_IDENTIFIER, utf8("x"), Part::SubjectKeyIdentifier, OTHER_TYPE),
        (ACCESS_POINT, tlv(0x16, b"fsap-0123456789abcdef0"), Part::AccessPointId, OTHER_TYPE),
        (
            ACCESS_POINT,
            utf8("fsap-0123456789ABCDEF0"),
            Part::AccessPointId,
            "it is not fsap- and 17 lower-case hexadecimal digits",
        ),
        (FILE_SYSTEM, [&[0x0c, 0x81, 20], b"fs-0123456789abcdef0".as_slice()].concat(), Part::FileSystemId, LONGER),
        (
            FILE_SYSTEM,
            [&[0x0c, 0x80], b"fs-0123456789abcdef0".as_slice(), &[0, 0]].concat(),
            Part::FileSystemId,
            "a length is indefinite",
        ),
        (FILE_SYSTEM, [&[0x0c, 0x82, 0, 20], b"fs-0123456789abcdef0".as_slice()].concat(), Part::FileSystemId, LONGER),
        (FILE_SYSTEM, [&[0x0c, 0x82, 0, 0x80], [b'x'; 0x80].as_slice()].concat(), Part::FileSystemId, LONGER),
        (FILE_SYSTEM, tlv(0x0c, &[0xff]), Part::FileSystemId, "a UTF8String is not UTF-8"),
        (CLIENT_INFO, sequence(&[utf8("unknown")]), Part::EfsClientInfo, "it ends where a value is expected"),
        (CLIENT_INFO, sequence(&[utf8("a"), utf8("b"), utf8("c")]), Part::EfsClientInfo, MORE),
        (
            CLIENT_INFO,
            sequence(&[utf8(""), utf8("3.2.0")]),
            Part::EfsClientInfo,
            "the source is not of 1 to 100 characters",
        ),
        (
            CLIENT_INFO,
            sequence(&[utf8(&"x".repeat(101)), utf8("3.2.0")]),
            Part::EfsClientInfo,
            "the source is not of 1 to 100 characters",
        ),
        (
            CLIENT_AUTH,
            sequence(&[id.clone(), octets(&[7; 32]), time.clone()]),
            Part::EfsClientAuth,
            "the signature is not 64 lower-case hexadecimal digits",
        ),
        (
            CLIENT_AUTH,
            client_auth(&"A".repeat(64), "240305060708Z", None),
            Part::EfsClientAuth,
            "the signature is not 64 lower-case hexadecimal digits",
        ),
        (
            CLIENT_AUTH,
            sequence(&[id.clone(), signature.clone(), time.clone(), utf8("token")]),
            Part::EfsClientAuth,
            MORE,
        ),
        (
            CLIENT_AUTH,
            sequence(&[id.clone(), signature.clone(), time, tlv(0xa0, &[utf8("a"), utf8("b")].concat())]),
            Part::EfsClientAuth,
            MORE,
        ),
        (
            CLIENT_AUTH,
            sequence(&[id.clone(), signature.clone(), tlv(0x18, b"20240305060708Z")]),
            Part::EfsClientAuth,
            OTHER_TYPE,
        ),
        (
            CLIENT_AUTH,
            sequence(&[id.clone(), signature.clone(), tlv(0x17, b"2403050607Z")]),
            Part::EfsClientAuth,
            "a UTCTime is not YYMMDDHHMMSSZ",
        ),
        (
            CLIENT_AUTH,
            sequence(&[id, signature, tlv(0x17, b"240230060708Z")]),
            Part::EfsClientAuth,
            "a UTCTime is no date, or before 1970",
        ),
        (CLIENT_AUTH, auth[..auth.len() - 1].to_vec(), Part::EfsClientAuth, "it ends within a value"),
        (CLIENT_AUTH, Vec::new(), Part::EfsClientAuth, "it ends where a value is expected"),
    ] {
        refused_as_forged(Forged::case_03().with(oid, value), Refusal::Malformed { part, why });
    }
}

#[test]
fn nothing_shown_holds_the_secret_or_the_token() {
    let case = Vector::case("03");
    let (secret, token) = (case.input("secret_access_key").unwrap(), case.input("session_token").unwrap());
    let rules = case.rules();
    let judgement = rules.judge(case.certificate().chain_der());
    let refused = case.rules().service("other").judge(case.certificate().chain_der());
    for shown in [format!("{rules:?}"), format!("{judgement:?}"), format!("{refused:?}")] {
        assert!(shown.contains(KEY_ID));
        assert!(!shown.contains(secret) && !shown.contains(token), "{shown}");
    }
}

#[test]
fn a_refusal_reads_like_advice() {
    let now = humantime::parse_rfc3339("2024-03-05T10:07:08Z").unwrap();
    for (refusal, text) in [
        (
            Refusal::Expired { not_after: now - HOUR, now },
            "the certificate was valid until 2024-03-05T09:07:08Z, it is 2024-03-05T10:07:08Z",
        ),
        (
            Refusal::Skew { signed_at: now + HOUR, now, allowed: 5 * MINUTE },
            "signed at 2024-03-05T11:07:08Z, but it is 2024-03-05T10:07:08Z: more than 300s ahead",
        ),
        (
            Refusal::Malformed { part: Part::EfsClientAuth, why: "it ends within a value" },
            "the EfsClientAuth extension is malformed: it ends within a value",
        ),
        (
            Refusal::SessionToken { access_key_id: KEY_ID.to_owned(), fault: TokenFault::Missing },
            "the session token of ASIAIOSFODNN7EXAMPLE is missing",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

fn iam(access_key_id: &str) -> Principal {
    Principal::Iam { arn: ROLE.to_owned(), access_key_id: access_key_id.to_owned() }
}

#[track_caller]
fn admitted(rules: AdmissionRules) {
    let chain = Vector::case("03").certificate();
    assert_eq!(rules.judge(chain.chain_der()).verdict, Verdict::Admitted(iam(KEY_ID)));
}

#[track_caller]
fn refused(rules: AdmissionRules, refusal: Refusal) {
    let chain = Vector::case("03").certificate();
    assert_eq!(rules.judge(chain.chain_der()).verdict, Verdict::Refused(refusal));
}

#[track_caller]
fn refused_as_forged(forged: Forged, refusal: Refusal) {
    assert_eq!(verdict(&Vector::case("03").rules(), &forged), Verdict::Refused(refusal));
}

fn verdict(rules: &AdmissionRules, forged: &Forged) -> Verdict {
    rules.judge(&[forged.der()]).verdict
}

fn verdict_on_der(der: Vec<u8>) -> Verdict {
    Vector::case("03").rules().judge(&[der]).verdict
}

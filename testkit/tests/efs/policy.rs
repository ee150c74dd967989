//! What a policy allows, without a connection.

use secure_connector_testkit::Clock;
use secure_connector_testkit::efs::{
    Admission, AdmissionRules, ClientAction, FileSystemPolicy, Judgement, KnownKey, Permissions, Principal, Refusal,
    Verdict,
};
use serde_json::{Value, json};

use crate::vectors::{ROLE, Vector};

pub(crate) const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/app/i-0123456789abcdef0";
const USER: &str = "arn:aws:iam::123456789012:user/team/alice";
pub(crate) const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";

#[test]
fn without_a_policy_everybody_may_do_everything() {
    let rules = rules(None, None);
    for judgement in [plain(&rules), anonymous(&rules), iam(&rules)] {
        assert_eq!(judgement.permissions, Permissions::ALL);
        assert_eq!(judgement.verdict, Verdict::Admitted(judgement.principal.unwrap()));
    }
}

#[test]
fn what_is_not_allowed_is_refused_and_a_denial_wins_wherever_it_stands() {
    let allow = json!({ "Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:*" });
    let deny = |action: &str| json!({ "Effect": "Deny", "Principal": "*", "Action": action });
    let mount = "elasticfilesystem:ClientMount";
    for (statements, expected, refusal) in [
        (json!([allow]), "mwr", None),
        (json!([allow, deny("elasticfilesystem:ClientWrite")]), "m-r", None),
        (json!([deny("elasticfilesystem:ClientRootAccess"), allow]), "mw-", None),
        (json!([deny("elasticfilesystem:client?rite"), allow, allow]), "m-r", None),
        (json!([deny(mount), allow]), "-wr", Some(Refusal::PolicyDenies { statement: "Statement[0]".to_owned() })),
        (json!([allow, deny(mount)]), "-wr", Some(Refusal::PolicyDenies { statement: "Statement[1]".to_owned() })),
        (json!([deny("*")]), "---", Some(Refusal::PolicyDenies { statement: "Statement[0]".to_owned() })),
        (
            json!([{ "Effect": "Allow", "Principal": "*", "Action": ["*Write", "*RootAccess"] }]),
            "-wr",
            Some(Refusal::NotAllowed { arn: ROLE.to_owned() }),
        ),
        (json!([{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": mount }]), "m--", None),
    ] {
        let judgement = iam(&rules(Some(statements.clone()), None));
        assert_eq!(shown(judgement.permissions), expected, "{statements}");
        let expected = refusal.map_or_else(|| Verdict::Admitted(principal(ROLE)), Verdict::Refused);
        assert_eq!(judgement.verdict, expected, "{statements}");
        assert_eq!(judgement.principal, Some(principal(ROLE)));
    }
    let named = json!([{ "Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Action": "*" }]);
    let refusal = Refusal::PolicyDenies { statement: "Nobody".to_owned() };
    assert_eq!(
        refusal.to_string(),
        "the statement Nobody of the file-system policy denies elasticfilesystem:ClientMount"
    );
    assert_eq!(anonymous(&rules(Some(named), None)).verdict, Verdict::Refused(refusal));
}

#[test]
fn a_principal_is_meant_by_its_arn_its_role_its_account_or_as_everybody() {
    for (pattern, role, session, user, anonymously) in [
        (json!("*"), true, true, true, true),
        (json!({ "AWS": "*" }), true, true, true, true),
        (json!({ "AWS": "123456789012" }), true, true, true, false),
        (json!({ "AWS": "arn:aws:iam::123456789012:root" }), true, true, true, false),
        (json!({ "AWS": "210987654321" }), false, false, false, false),
        (json!({ "AWS": ROLE }), true, true, false, false),
        (json!({ "AWS": "arn:aws:iam::123456789012:role/path/to/app" }), false, true, false, false),
        (json!({ "AWS": "arn:aws:iam::123456789012:role/application" }), false, false, false, false),
        (json!({ "AWS": "arn:aws:iam::210987654321:role/app" }), false, false, false, false),
        (json!({ "AWS": "arn:aws-cn:iam::123456789012:role/app" }), false, false, false, false),
        (json!({ "AWS": SESSION }), false, true, false, false),
        (json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/app/another" }), false, false, false, false),
        (json!({ "AWS": USER }), false, false, true, false),
        (json!({ "AWS": "arn:aws:iam::123456789012:user/alice" }), false, false, false, false),
        (json!({ "AWS": [USER, ROLE] }), true, true, true, false),
        (json!({ "AWS": "arn:aws:sts::123456789012:federated-user/app" }), false, false, false, false),
    ] {
        let statement = json!([{ "Effect": "Allow", "Principal": pattern, "Action": "elasticfilesystem:Client*" }]);
        for (arn, expected) in [(ROLE, role), (SESSION, session), (USER, user)] {
            let judgement = iam(&rules(Some(statement.clone()), Some(key(arn))));
            let verdict = match expected {
                true => Verdict::Admitted(principal(arn)),
                false => Verdict::Refused(Refusal::NotAllowed { arn: arn.to_owned() }),
            };
            assert_eq!(judgement.verdict, verdict, "{pattern} {arn}");
        }
        let verdict = match anonymously {
            true => Verdict::Admitted(Principal::Anonymous),
            false => Verdict::Refused(Refusal::AnonymousNotAllowed),
        };
        assert_eq!(anonymous(&rules(Some(statement.clone()), None)).verdict, verdict, "{pattern}");
        assert_eq!(plain(&rules(Some(statement), None)).verdict, verdict, "{pattern}");
    }
}

#[test]
fn every_condition_must_hold_for_one_of_its_values() {
    let ours = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0";
    let another = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef1";
    let key = "elasticfilesystem:AccessPointArn";
    // The IAM client has the access point, the anonymous ones have none.
    for (condition, over_plain, over_tls, with_access_point) in [
        (json!({}), true, true, true),
        (json!({ "Bool": { "aws:SecureTransport": "true" } }), false, true, true),
        (json!({ "Bool": { "AWS:securetransport": true } }), false, true, true),
        (json!({ "Bool": { "aws:SecureTransport": "false" } }), true, false, false),
        (json!({ "Bool": { "aws:SecureTransport": ["true", "false"] } }), true, true, true),
        (json!({ "Bool": { "elasticfilesystem:AccessedViaMountTarget": "true" } }), true, true, true),
        (json!({ "Bool": { "elasticfilesystem:AccessedViaMountTarget": false } }), false, false, false),
        (
            json!({ "Bool": { "elasticfilesystem:AccessedViaMountTarget": "true", "aws:SecureTransport": "true" } }),
            false,
            true,
            true,
        ),
        (json!({ "StringEquals": { key: ours } }), false, false, true),
        (json!({ "StringEquals": { key: [another, ours] } }), false, false, true),
        (json!({ "StringEquals": { key: another } }), false, false, false),
        (json!({ "StringEquals": { key: "*" } }), false, false, false),
        (json!({ "StringLike": { key: "*" } }), false, false, true),
        (json!({ "StringLike": { key: "arn:*/fsap-0123456789abcdef?" } }), false, false, true),
        (json!({ "StringLike": { key: "arn:*/fsap-1*" } }), false, false, false),
        (json!({ "ArnEquals": { key: ours } }), false, false, true),
        (json!({ "ArnEquals": { key: "arn:aws:elasticfilesystem:*:*:access-point/*" } }), false, false, true),
        (json!({ "ArnLike": { key: "arn:aws:elasticfilesystem:*:123456789012:access-point/*" } }), false, false, true),
        (json!({ "ArnLike": { key: "arn:aws:*:*:*:file-system/*" } }), false, false, false),
        (json!({ "ArnLike": { key: another } }), false, false, false),
        (json!({ "Bool": { "aws:SecureTransport": "false" }, "StringEquals": { key: ours } }), false, false, false),
    ] {
        let statement = |effect| json!({ "Effect": effect, "Principal": "*", "Action": "*", "Condition": condition });
        let rules_allow = rules(Some(json!([statement("Allow")])), None);
        let everybody = json!({ "Effect": "Allow", "Principal": "*", "Action": "*" });
        let rules_deny = rules(Some(json!([statement("Deny"), everybody])), None);
        for (judge, expected) in [(plain as fn(&_) -> _, over_plain), (anonymous, over_tls), (iam, with_access_point)] {
            let (all, none) = (Permissions::ALL, Permissions::default());
            assert_eq!(judge(&rules_allow).permissions, if expected { all } else { none }, "{condition}");
            assert_eq!(judge(&rules_deny).permissions, if expected { none } else { all }, "{condition}");
        }
    }
}

#[test]
fn a_statement_about_another_file_system_is_about_another_file_system() {
    let ours = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0";
    for (resource, expected) in [
        (json!("*"), "mwr"),
        (json!(ours), "mwr"),
        (json!(["arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", ours]), "mwr"),
        (json!("arn:aws:elasticfilesystem:*:*:file-system/*"), "mwr"),
        (json!("arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1"), "---"),
        (json!("arn:aws:elasticfilesystem:us-east-1:210987654321:file-system/fs-0123456789abcdef0"), "---"),
        (json!("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/*"), "---"),
    ] {
        let statement = json!([{ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": resource }]);
        let rules = rules(Some(statement.clone()), None);
        assert_eq!(rules.file_system_arn(), ours);
        assert_eq!(shown(iam(&rules).permissions), expected, "{resource}");
    }
}

#[test]
fn a_keys_own_actions_add_to_the_policy_and_decide_for_the_account() {
    use ClientAction::{Mount, RootAccess, Write};
    let allow = |principal: &str, action: &str| {
        let action = format!("elasticfilesystem:{action}");
        json!([{ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": action }])
    };
    let (here, there) = ("123456789012", "210987654321");
    let named_besides = |principals: &[&str]| json!([{ "Effect": "Allow", "Principal": { "AWS": principals }, "Action": "elasticfilesystem:Client*" }]);
    for (statements, account, own, expected) in [
        // "Prevent anonymous access" of the console: who may mount is left to identity-based policies.
        (allow("*", "Client?*t*ess"), here, Some(vec![Mount]), "m-r"),
        (allow("*", "Client?*t*ess"), here, None, "--r"),
        (allow(ROLE, "ClientMount"), here, Some(vec![]), "m--"),
        (allow(ROLE, "ClientMount"), here, Some(vec![Write]), "mw-"),
        (allow(here, "Client*"), here, None, "mwr"),
        (allow(here, "Client*"), here, Some(vec![Mount, RootAccess]), "m-r"),
        (allow(here, "ClientMount"), here, Some(vec![Mount, Write]), "mw-"),
        (named_besides(&[here, ROLE]), here, Some(vec![]), "mwr"),
        (named_besides(&[ROLE, here]), here, Some(vec![]), "mwr"),
        // Across accounts both have to allow.
        (allow(ROLE, "Client*"), there, None, "mwr"),
        (allow(ROLE, "Client*"), there, Some(vec![Mount]), "m--"),
        (allow(here, "Client*"), there, Some(vec![Mount, Write]), "mw-"),
        (allow(ROLE, "ClientMount"), there, Some(vec![Mount, Write]), "m--"),
        (allow(there, "Client*"), there, Some(vec![Mount, Write, RootAccess]), "---"),
    ] {
        let key = match &own {
            None => key(ROLE),
            Some(actions) => key(ROLE).client_actions(actions.iter().copied()),
        };
        let rules = rules(Some(statements.clone()), Some(key.clone())).account(account);
        assert_eq!(shown(iam(&rules).permissions), expected, "{statements} {account} {own:?}");
        let denied = json!([statements[0], { "Effect": "Deny", "Principal": { "AWS": here }, "Action": "*" }]);
        let rules = self::rules(Some(denied), Some(key)).account(account);
        assert_eq!(shown(iam(&rules).permissions), "---", "{statements} {account} {own:?}");
    }
}

#[test]
fn iam_only_is_a_policy_about_the_known_keys_and_the_last_word_counts() {
    let nobody = || policy(json!([{ "Effect": "Deny", "Principal": "*", "Action": "*" }]));
    let iam_only = rules(None, None).policy(nobody()).admission(Admission::IamOnly);
    assert_eq!(iam(&iam_only).permissions, Permissions::ALL);
    assert_eq!(anonymous(&iam_only).permissions, Permissions::default());
    let denied = Verdict::Refused(Refusal::PolicyDenies { statement: "Statement[0]".to_owned() });
    assert_eq!(iam(&iam_only.policy(nobody())).verdict, denied);
    let anybody = rules(None, None).policy(nobody()).admission(Admission::AnonymousAllowed);
    assert_eq!(plain(&anybody).verdict, Verdict::Admitted(Principal::Anonymous));
}

#[test]
fn one_whose_certificate_is_refused_has_no_permissions_whatever_the_policy() {
    let wrong = AdmissionRules::new("fs-0123456789abcdef0", "us-east-1")
        .clock(Clock::fixed(Vector::case("03").now()))
        .key(Vector::case("03").key(KEY_ID, "another secret"));
    let judgement = iam(&wrong);
    assert_eq!(judgement.verdict, Verdict::Refused(Refusal::SignatureMismatch { access_key_id: KEY_ID.to_owned() }));
    assert_eq!((judgement.principal, judgement.permissions), (None, Permissions::default()));
}

#[test]
fn arns_are_of_the_regions_partition() {
    for (region, partition) in [
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let rules = AdmissionRules::new("fs-1", region).account("210987654321");
        let arn = format!("arn:{partition}:elasticfilesystem:{region}:210987654321");
        assert_eq!(rules.file_system_arn(), format!("{arn}:file-system/fs-1"));
        assert_eq!(rules.access_point_arn("fsap-2"), format!("{arn}:access-point/fsap-2"));
    }
}

/// Rules at the time of case 03, for its key or another with its secret.
pub(crate) fn rules(statements: Option<Value>, key: Option<KnownKey>) -> AdmissionRules {
    let case = Vector::case("03");
    let rules = AdmissionRules::new("fs-0123456789abcdef0", "us-east-1")
        .clock(Clock::fixed(case.now()))
        .key(key.unwrap_or_else(|| self::key(ROLE)));
    match statements {
        None => rules,
        Some(statements) => rules.policy(policy(statements)),
    }
}

fn policy(statements: Value) -> FileSystemPolicy {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string().parse().unwrap()
}

pub(crate) fn key(principal: &str) -> KnownKey {
    let case = Vector::case("03");
    KnownKey::new(KEY_ID, case.input("secret_access_key").unwrap(), principal)
        .session_token(case.input("session_token").unwrap())
}

fn principal(arn: &str) -> Principal {
    Principal::Iam { arn: arn.to_owned(), access_key_id: KEY_ID.to_owned() }
}

/// The client of case 03, with an access point.
fn iam(rules: &AdmissionRules) -> Judgement {
    rules.judge(Vector::case("03").certificate().chain_der())
}

fn anonymous(rules: &AdmissionRules) -> Judgement {
    rules.judge(&[])
}

fn plain(rules: &AdmissionRules) -> Judgement {
    rules.judge_plain()
}

fn shown(permissions: Permissions) -> String {
    let letter = |granted, letter| if granted { letter } else { '-' };
    [letter(permissions.mount, 'm'), letter(permissions.write, 'w'), letter(permissions.root_access, 'r')]
        .iter()
        .collect()
}

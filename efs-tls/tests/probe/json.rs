//! The JSON form, which scripts and health checks read.

use efs_tls::ProbeOptions;
use serde_json::{Value, json};

use crate::{
    mount_target::{ACCESS_POINT, KEY_ID, MountTarget, UNKNOWN_ACCESS_POINT, credentials, probe},
    script::scripted,
};

fn fields<const N: usize>(json: &Value, names: [&str; N]) -> Value {
    names.map(|name| json[name].clone()).to_vec().into()
}

#[tokio::test]
async fn an_admission_is_one_object() {
    let target = MountTarget::start().await;
    let connector = target.iam().build().await.unwrap();
    let probe = connector.probe_with(&ProbeOptions::default().user(1000, 100)).await;
    let json = serde_json::to_value(&probe).unwrap();
    assert_eq!(fields(&json, ["outcome", "retryable", "hints", "refusal"]), json!(["admitted", false, [], null]));
    assert_eq!(fields(&json["admission"], ["uid", "gid"]), json!([1000, 100]));
    assert_eq!(json["admission"]["granted"][0], "READ");
    assert_eq!(json["report"]["authenticated_as"]["principal"], KEY_ID);
    assert!(json["took"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_denial_says_where_and_what_the_second_connection_showed() {
    let target = MountTarget::start().await;
    let unknown = probe(target.iam().access_point(UNKNOWN_ACCESS_POINT.parse().unwrap())).await;
    let json = serde_json::to_value(&unknown).unwrap();
    assert_eq!(fields(&json, ["outcome", "retryable"]), json!(["access_point", true]));
    assert_eq!(json["refusal"], json!({ "operation": "EXCHANGE_ID", "status": "NFS4ERR_ACCESS" }));
    assert_eq!(json["access_point"], UNKNOWN_ACCESS_POINT);
    assert!(json["without_access_point"].as_str().unwrap().starts_with("admitted as user"), "{json}");
    assert_eq!(json["admission"], Value::Null);

    let wrong = target.provided_by(credentials(KEY_ID, "anotherSecretKey", None));
    let json = serde_json::to_value(probe(wrong.access_point(ACCESS_POINT.parse().unwrap())).await).unwrap();
    assert_eq!(fields(&json, ["outcome", "retryable"]), json!(["denied", false]));
    assert_eq!(json["without_access_point"], "denied too: NFS4ERR_ACCESS at EXCHANGE_ID");
    assert_eq!(json["hints"][0]["hint"], "our_clock");
    assert!(json["hints"][0]["now"].as_str().unwrap().ends_with('Z'), "{json}");
    assert!(json["explanation"].as_str().unwrap().contains("Our clock says"), "{json}");
}

#[tokio::test]
async fn what_did_not_connect_has_its_causes_in_the_message() {
    let target = MountTarget::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let json = serde_json::to_value(probe(target.iam().mount_target_address(closed)).await).unwrap();
    assert_eq!(fields(&json, ["outcome", "retryable", "report"]), json!(["network", true, null]));
    assert!(json["message"].as_str().unwrap().contains("refused"), "{json}");

    let http = scripted(ProbeOptions::default(), |call| Some(call.accepted(&[1]))).await;
    let json = serde_json::to_value(http).unwrap();
    assert_eq!(fields(&json, ["outcome", "message"]), json!(["not_nfs", "not NFS: an RPC server without NFS"]));
}

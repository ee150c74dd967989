//! What CloudTrail would have logged.
#![expect(clippy::indexing_slicing, reason = "a new name in a JSON object is added, and all of these are objects")]

use std::net::SocketAddr;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use serde_json::{Value, json};

use super::{AdmissionRules, Judgement, Principal, Verdict, arn};

/// The `NewClientConnection` event (EFS User Guide, "Log entries for EFS IAM authorization") of the `number`th connection.
pub(crate) fn new_client_connection(
    rules: &AdmissionRules,
    judgement: &Judgement,
    peer: SocketAddr,
    now: SystemTime,
    number: u64,
) -> Value {
    let resource = |kind: &str, arn: String| json!({ "accountId": rules.account, "type": kind, "ARN": arn });
    let mut resources = vec![resource("AWS::EFS::FileSystem", rules.file_system_arn())];
    if let Some(id) = judgement.claims.as_ref().and_then(|claims| claims.access_point.as_ref()) {
        resources.push(resource("AWS::EFS::AccessPoint", rules.access_point_arn(id)));
    }
    let mut event = json!({
        "eventVersion": "1.05",
        "userIdentity": user_identity(judgement.principal.as_ref().unwrap_or(&Principal::Anonymous)),
        "eventTime": format_rfc3339_seconds(now).to_string(),
        "eventSource": "elasticfilesystem.amazonaws.com",
        "eventName": "NewClientConnection",
        "awsRegion": rules.region,
        "sourceIPAddress": "AWS Internal",
        "userAgent": "elasticfilesystem",
        "requestParameters": null,
        "responseElements": null,
        "eventID": format!("00000000-0000-4000-8000-{number:012x}"),
        "readOnly": true,
        "resources": resources,
        "eventType": "AwsServiceEvent",
        "recipientAccountId": rules.account,
        "serviceEventDetails": {
            "permissions": {
                "ClientMount": judgement.permissions.mount,
                "ClientWrite": judgement.permissions.write,
                "ClientRootAccess": judgement.permissions.root_access,
            },
            "sourceIpAddress": peer.ip().to_string(),
        },
    });
    if let Verdict::Refused(refusal) = &judgement.verdict {
        event["errorCode"] = json!("AccessDenied");
        event["errorMessage"] = json!(refusal.to_string());
    }
    event
}

/// CloudTrail User Guide, "CloudTrail userIdentity element". The unique ids in `principalId` are known to IAM alone; names
/// stand in for them.
fn user_identity(principal: &Principal) -> Value {
    let Principal::Iam { arn, access_key_id } = principal else {
        return json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" });
    };
    let (kind, path) = arn::resource(arn).and_then(|resource| resource.split_once('/')).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut identity = json!({
        "type": match kind {
            "user" => "IAMUser",
            "role" => "Role",
            "assumed-role" => "AssumedRole",
            "federated-user" => "FederatedUser",
            _ => "Unknown",
        },
        "principalId": name,
        "arn": arn,
        "accountId": arn::account(arn),
        "accessKeyId": access_key_id,
    });
    if kind == "user" {
        identity["userName"] = json!(name);
    }
    if let Some((partition, account, role)) = arn::role_of_session(arn) {
        identity["principalId"] = json!(format!("{role}:{name}"));
        identity["sessionContext"] = json!({
            "sessionIssuer": {
                "type": "Role",
                "principalId": role,
                "arn": format!("arn:{partition}:iam::{account}:role/{role}"),
                "accountId": account,
                "userName": role,
            },
        });
    }
    identity
}

//! The policy experiment over the network: anonymous over plain NFS, anonymous over TLS, IAM over TLS; what each of them
//! may do under each policy, and what the mount target and CloudTrail say of it.

use std::net::SocketAddr;

use secure_connector_testkit::Clock;
use secure_connector_testkit::efs::{AdmissionRules, MountTargetBuilder, Permissions, Principal, Refusal, Verdict};
use secure_connector_testkit::nfs::{HelloOutcome, InMemoryNfs, Rights, nfs_hello};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::mount_target::{BOTH, DENIED, Mount};
use crate::policy::{KEY_ID, SESSION, key, rules};
use crate::vectors::Vector;

/// What [`nfs_hello`] may do in a root directory of user 0 with mode 0702, which tells all four cases apart.
const FULL: HelloOutcome = HelloOutcome::Admitted { access: 7 };
const READ_ONLY: HelloOutcome = HelloOutcome::Admitted { access: 3 };
const SQUASHED: HelloOutcome = HelloOutcome::Admitted { access: 4 };
const READ_ONLY_SQUASHED: HelloOutcome = HelloOutcome::Admitted { access: 0 };

#[tokio::test]
async fn each_client_gets_what_the_policy_gives_it() {
    let allow = |principal: Value, actions: &[&str]| {
        let actions = actions.iter().map(|action| format!("elasticfilesystem:Client{action}")).collect::<Vec<_>>();
        json!({ "Effect": "Allow", "Principal": principal, "Action": actions })
    };
    let everybody = || json!({ "AWS": "*" });
    let role = || json!({ "AWS": "arn:aws:iam::123456789012:role/service/app" });
    let tls_only = json!({ "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "*",
                           "Condition": { "Bool": { "aws:SecureTransport": "false" } } });
    let through_access_point = json!({ "Effect": "Allow", "Principal": role(), "Action": "elasticfilesystem:Client*",
                                       "Condition": { "ArnLike": { "elasticfilesystem:AccessPointArn":
                                           "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0*" } } });
    let anonymous_refused = Some(Refusal::AnonymousNotAllowed);
    let plain_refused = Some(Refusal::PolicyDenies { statement: "TlsOnly".to_owned() });
    let iam_refused = Some(Refusal::NotAllowed { arn: SESSION.to_owned() });
    for (statements, plain, anonymous, iam) in [
        (None, (FULL, None), (FULL, None), (FULL, None)),
        (Some(json!([allow(everybody(), &["Mount", "Write"])])), (SQUASHED, None), (SQUASHED, None), (SQUASHED, None)),
        (
            Some(json!([allow(everybody(), &["Mount", "RootAccess"]), allow(role(), &["Write"])])),
            (READ_ONLY, None),
            (READ_ONLY, None),
            (FULL, None),
        ),
        (
            Some(json!([allow(everybody(), &["*"]), tls_only])),
            (DENIED, plain_refused.clone()),
            (FULL, None),
            (FULL, None),
        ),
        (
            Some(json!([allow(everybody(), &["Mount"]), allow(role(), &["Write"]), tls_only])),
            (DENIED, plain_refused),
            (READ_ONLY_SQUASHED, None),
            (SQUASHED, None),
        ),
        (
            Some(json!([allow(role(), &["*"])])),
            (DENIED, anonymous_refused.clone()),
            (DENIED, anonymous_refused.clone()),
            (FULL, None),
        ),
        (
            Some(json!([through_access_point])),
            (DENIED, anonymous_refused.clone()),
            (DENIED, anonymous_refused.clone()),
            (FULL, None),
        ),
        (
            Some(json!([allow(everybody(), &["Write", "RootAccess"])])),
            (DENIED, anonymous_refused.clone()),
            (DENIED, anonymous_refused),
            (DENIED, iam_refused),
        ),
    ] {
        let mount = start(statements.clone(), |target| target).await;
        for (client, (outcome, refusal)) in [(Client::Plain, plain), (Client::Anonymous, anonymous), (Client::Iam, iam)]
        {
            assert_eq!(hello(&mount, client).await, outcome, "{client:?} under {statements:?}");
            let event = mount.target.next_event().await.unwrap();
            let verdict = match refusal.clone() {
                None => Verdict::Admitted(client.principal()),
                Some(refusal) => Verdict::Refused(refusal),
            };
            assert_eq!(event.verdict, verdict, "{client:?} under {statements:?}");
            assert_eq!(event.connection.version.is_some(), client != Client::Plain);
            let Permissions { mount, write, root_access, .. } = event.permissions;
            let found = match (mount, write, root_access) {
                (true, true, true) => FULL,
                (true, false, true) => READ_ONLY,
                (true, true, false) => SQUASHED,
                (true, false, false) => READ_ONLY_SQUASHED,
                (false, ..) => DENIED,
            };
            assert_eq!(found, outcome, "{client:?} under {statements:?}");
            let logged = &event.cloud_trail;
            let permissions = json!({ "ClientMount": mount, "ClientWrite": write, "ClientRootAccess": root_access });
            assert_eq!(logged["serviceEventDetails"]["permissions"], permissions);
            let error = refusal
                .map_or((Value::Null, Value::Null), |refusal| (json!("AccessDenied"), json!(refusal.to_string())));
            assert_eq!((logged["errorCode"].clone(), logged["errorMessage"].clone()), error);
        }
    }
}

#[tokio::test]
async fn cloud_trail_logs_a_session_of_a_role_as_in_the_user_guide() {
    let mount = start(None, |target| target).await;
    hello(&mount, Client::Iam).await;
    let logged = mount.target.next_event().await.unwrap().cloud_trail;
    let expected = json!({
        "eventVersion": "1.05",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "app:i-0123456789abcdef0",
            "arn": SESSION,
            "accountId": "123456789012",
            "accessKeyId": KEY_ID,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "app",
                    "arn": "arn:aws:iam::123456789012:role/app",
                    "accountId": "123456789012",
                    "userName": "app",
                },
            },
        },
        "eventTime": "2024-03-05T06:07:08Z",
        "eventSource": "elasticfilesystem.amazonaws.com",
        "eventName": "NewClientConnection",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "AWS Internal",
        "userAgent": "elasticfilesystem",
        "requestParameters": null,
        "responseElements": null,
        "eventID": "00000000-0000-4000-8000-000000000001",
        "readOnly": true,
        "resources": [
            {
                "accountId": "123456789012",
                "type": "AWS::EFS::FileSystem",
                "ARN": "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0",
            },
            {
                "accountId": "123456789012",
                "type": "AWS::EFS::AccessPoint",
                "ARN": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0",
            },
        ],
        "eventType": "AwsServiceEvent",
        "recipientAccountId": "123456789012",
        "serviceEventDetails": {
            "permissions": { "ClientMount": true, "ClientWrite": true, "ClientRootAccess": true },
            "sourceIpAddress": "127.0.0.1",
        },
    });
    assert_eq!(logged, expected);
}

#[tokio::test]
async fn cloud_trail_names_users_and_roles_and_those_who_prove_nothing_are_anonymous() {
    let identity = async |arn: &str| {
        let mount = Mount::start(rules(None, Some(key(arn))), |target| target).await;
        hello(&mount, Client::Iam).await;
        mount.target.next_event().await.unwrap().cloud_trail["userIdentity"].clone()
    };
    let (account, user, role) =
        ("123456789012", "arn:aws:iam::123456789012:user/team/alice", "arn:aws:iam::123456789012:role/path/app");
    assert_eq!(
        identity(user).await,
        json!({ "type": "IAMUser", "principalId": "alice", "arn": user, "accountId": account, "accessKeyId": KEY_ID,
                "userName": "alice" })
    );
    assert_eq!(
        identity(role).await,
        json!({ "type": "Role", "principalId": "app", "arn": role, "accountId": account, "accessKeyId": KEY_ID })
    );
    assert_eq!(
        identity("alice").await,
        json!({ "type": "Unknown", "principalId": "", "arn": "alice", "accountId": null, "accessKeyId": KEY_ID })
    );

    let anonymous = json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" });
    let another =
        AdmissionRules::new("fs-00000000000000000", "us-east-1").clock(Clock::fixed(Vector::case("03").now()));
    let mount = Mount::start(another, MountTargetBuilder::plain_nfs).await;
    for (client, number, error) in [
        (Client::Plain, "000000000001", Value::Null),
        (
            Client::Iam,
            "000000000002",
            json!("this is a mount target of fs-00000000000000000, the certificate is for fs-0123456789abcdef0"),
        ),
    ] {
        hello(&mount, client).await;
        let event = mount.target.next_event().await.unwrap();
        assert_eq!(event.cloud_trail["userIdentity"], anonymous);
        assert_eq!(event.cloud_trail["eventID"], json!(format!("00000000-0000-4000-8000-{number}")));
        assert_eq!(event.cloud_trail["errorMessage"], error);
    }
}

#[tokio::test]
async fn plain_nfs_is_served_by_choice_and_tls_on_the_same_port() {
    let mount = start(None, |target| target).await;
    assert_eq!(hello(&mount, Client::Plain).await, FULL);
    assert_eq!(hello(&mount, Client::Anonymous).await, FULL);
    let event = mount.target.next_event().await.unwrap();
    assert_eq!((event.connection.version, event.connection.client_chain, event.claims), (None, vec![], None));
    let counters = mount.target.counters();
    assert_eq!((counters.connections, counters.plain, counters.full_handshakes, counters.admitted), (2, 1, 1, 2));

    let mount = Mount::start(rules(None, None), |target| target).await;
    let mut tcp = TcpStream::connect(mount.target.addr()).await.unwrap();
    assert!(nfs_hello(&mut tcp).await.is_err());
    let error = mount.target.next_event().await.unwrap_err();
    let error: rustls::Error = *error.into_inner().unwrap().downcast().unwrap();
    assert_eq!(error, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
    let counters = mount.target.counters();
    assert_eq!((counters.connections, counters.plain, counters.failed_handshakes), (1, 0, 1));
}

#[tokio::test]
async fn each_client_reaches_the_backend_for_its_rights_or_none() {
    let (full, read_only) = (speaking(b"full").await, speaking(b"read-only").await);
    let statements = json!([{ "Effect": "Allow", "Principal": "*",
                              "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientRootAccess"] }]);
    let plain_is_squashed = json!([statements[0], { "Effect": "Deny", "Principal": "*",
                                    "Action": "elasticfilesystem:ClientRootAccess",
                                    "Condition": { "Bool": { "aws:SecureTransport": "false" } } }]);
    let read_only_rights = Rights::default().read_only();
    for (statements, answer) in
        [(None, Ok("full")), (Some(statements), Ok("read-only")), (Some(plain_is_squashed), Err(()))]
    {
        let mount = start(statements, |target| {
            target.backend(read_only).backend(full).backend_for(read_only_rights, read_only)
        })
        .await;
        let mut tcp = TcpStream::connect(mount.target.addr()).await.unwrap();
        match answer {
            Ok(answer) => {
                tcp.write_all(&[0x80]).await.unwrap();
                let mut found = String::new();
                tcp.read_to_string(&mut found).await.unwrap();
                assert_eq!(found, answer);
                assert_eq!(mount.target.next_event().await.unwrap().verdict, Verdict::Admitted(Principal::Anonymous));
            }
            Err(()) => {
                assert_eq!(nfs_hello(&mut tcp).await.unwrap(), DENIED);
                let event = mount.target.next_event().await.unwrap();
                let refusal = Refusal::NoBackend { rights: read_only_rights.squash_root() };
                assert_eq!(event.verdict, Verdict::Refused(refusal));
                assert_eq!(mount.target.counters().refused, 1);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Plain,
    Anonymous,
    Iam,
}

impl Client {
    fn principal(self) -> Principal {
        match self {
            Self::Plain | Self::Anonymous => Principal::Anonymous,
            Self::Iam => Principal::Iam { arn: SESSION.to_owned(), access_key_id: KEY_ID.to_owned() },
        }
    }
}

async fn hello(mount: &Mount, client: Client) -> HelloOutcome {
    if client == Client::Plain {
        let mut tcp = TcpStream::connect(mount.target.addr()).await.unwrap();
        return nfs_hello(&mut tcp).await.unwrap();
    }
    let certificate = (client == Client::Iam).then(|| Vector::case("03").certificate());
    mount.hello(&mount.client(BOTH, certificate.as_ref())).await
}

async fn start(statements: Option<Value>, options: impl FnOnce(MountTargetBuilder) -> MountTargetBuilder) -> Mount {
    let files = InMemoryNfs::default().owner_and_mode("/", 0, 0o702);
    Mount::start(rules(statements, Some(key(SESSION))), |target| options(target.plain_nfs().files(files))).await
}

/// A server that says one thing and hangs up.
async fn speaking(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tcp.write_all(words).await.unwrap();
        }
    });
    addr
}

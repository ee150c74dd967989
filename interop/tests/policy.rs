//! The policy experiment with a real client and a real server: libnfs over plain NFS, over TLS without and with IAM, against
//! nfs-ganesha behind the fake mount target. What each can do under each policy, and what is logged of it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use aws_credential_types::Credentials;
use efs_tls::{EfsConnector, EfsTunnel, MountTargetName};
use interop::{ExportAccess, Ganesha, Libnfs};
use secure_connector::Roots;
use secure_connector_testkit::{
    TestPki,
    efs::{AdmissionRules, FakeMountTarget, KnownKey, Principal, Refusal, Verdict},
    nfs::{NOBODY, Rights},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const USER: &str = "arn:aws:iam::123456789012:user/alice";
/// Of the export.
const OPEN_TO_ALL: &str = "open";

#[tokio::test(flavor = "multi_thread")]
async fn libnfs_can_do_what_the_policy_lets_it_and_each_connection_is_logged() {
    use Outcome::{Denied, Full, ReadOnly, ReadOnlySquashed, Squashed};
    let everybody = |actions: &[&str]| allow(&json!("*"), actions);
    let alice = |actions: &[&str]| allow(&json!({ "AWS": USER }), actions);
    let tls_only = json!({ "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "*",
                           "Condition": { "Bool": { "aws:SecureTransport": "false" } } });
    let anonymous = || Denied(Refusal::AnonymousNotAllowed);
    let plain = || Denied(Refusal::PolicyDenies { statement: "TlsOnly".into() });
    let servers = Servers::start();
    //                       policy, plain NFS, TLS, TLS with IAM
    for (row, (statements, outcomes)) in [
        (json!([everybody(&["*"])]), [Full, Full, Full]),
        (json!([everybody(&["*"]), tls_only]), [plain(), Full, Full]),
        (json!([everybody(&["Mount", "RootAccess"]), alice(&["Write"])]), [ReadOnly, ReadOnly, Full]),
        (json!([everybody(&["Mount", "Write"]), tls_only]), [plain(), Squashed, Squashed]),
        (json!([everybody(&["Mount"]), alice(&["Write"])]), [ReadOnlySquashed, ReadOnlySquashed, Squashed]),
        (json!([alice(&["*"])]), [anonymous(), anonymous(), Full]),
        (
            json!([everybody(&["Write", "RootAccess"])]),
            [anonymous(), anonymous(), Denied(Refusal::NotAllowed { arn: USER.into() })],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let pki = TestPki::new().unwrap();
        let target = servers.behind_policy(&statements, &pki).await;
        for (client, outcome) in [Client::Plain, Client::Anonymous, Client::Iam].into_iter().zip(outcomes) {
            let tunnel = client.tunnel(&pki, &target).await;
            let port = tunnel.as_ref().map_or_else(|| target.addr().port(), EfsTunnel::port);
            let export = servers.full.export();
            let name = format!("{row}-{client:?}");
            let did = tokio::task::spawn_blocking(move || Did::try_all(port, &export, &name)).await.unwrap();
            assert_eq!(did, outcome.expected(), "{client:?} under {statements}");
            // Listing and two attempts to write, each over a connection of its own.
            for _connection in 0..3 {
                let event = target.next_event().await.unwrap();
                assert_eq!(event.verdict, outcome.verdict(client), "{client:?} under {statements}");
                assert_eq!(event.connection.version.is_some(), client != Client::Plain);
                let logged = &event.cloud_trail;
                assert_eq!(logged["eventName"], "NewClientConnection");
                assert_eq!(logged["userIdentity"]["accountId"], client.account(), "{client:?} under {statements}");
                match outcome.permissions() {
                    Some(permissions) => assert_eq!(logged["serviceEventDetails"]["permissions"], permissions),
                    None => assert_eq!(logged["serviceEventDetails"]["permissions"]["ClientMount"], false),
                }
                let error = if let Denied(_) = outcome { json!("AccessDenied") } else { Value::Null };
                assert_eq!(logged["errorCode"], error);
            }
        }
        assert_eq!(target.counters().connections, 9);
    }
}

/// What a client comes to be able to do.
#[derive(Debug)]
enum Outcome {
    Full,
    ReadOnly,
    Squashed,
    ReadOnlySquashed,
    Denied(Refusal),
}

impl Outcome {
    fn expected(&self) -> Did {
        let did = |list, write_as_root, write| Did { list, write_as_root, write };
        match self {
            Self::Full => did(Ok(()), Ok(0), Ok(0)),
            Self::ReadOnly | Self::ReadOnlySquashed => did(Ok(()), Err(ROFS), Err(ROFS)),
            Self::Squashed => did(Ok(()), Err(ACCESS), Ok(NOBODY)),
            Self::Denied(_) => did(Err(ACCESS), Err(ACCESS), Err(ACCESS)),
        }
    }

    fn verdict(&self, client: Client) -> Verdict {
        match (self, client) {
            (Self::Denied(refusal), _) => Verdict::Refused(refusal.clone()),
            (_, Client::Iam) => Verdict::Admitted(Principal::Iam { arn: USER.into(), access_key_id: KEY_ID.into() }),
            _ => Verdict::Admitted(Principal::Anonymous),
        }
    }

    fn permissions(&self) -> Option<Value> {
        let (write, root) = match self {
            Self::Full => (true, true),
            Self::ReadOnly => (false, true),
            Self::Squashed => (true, false),
            Self::ReadOnlySquashed => (false, false),
            Self::Denied(_) => return None,
        };
        Some(json!({ "ClientMount": true, "ClientWrite": write, "ClientRootAccess": root }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Plain,
    Anonymous,
    Iam,
}

impl Client {
    /// None for plain NFS, which goes to the mount target directly.
    async fn tunnel(self, pki: &TestPki, target: &FakeMountTarget) -> Option<EfsTunnel> {
        let name = MountTargetName::regional(FILE_SYSTEM.parse().unwrap(), "us-east-1".parse().unwrap());
        let builder = match self {
            Self::Plain => return None,
            Self::Anonymous => EfsConnector::anonymous(name),
            Self::Iam => EfsConnector::iam(name, Credentials::new(KEY_ID, SECRET, None, None, "test")),
        };
        let roots = Roots::from_der(pki.root_der()).unwrap();
        let connector = builder.roots(roots).mount_target_address(target.addr()).build().await.unwrap();
        Some(EfsTunnel::builder(connector).start().await.unwrap())
    }

    fn account(self) -> &'static str {
        if self == Self::Iam { "123456789012" } else { "ANONYMOUS_PRINCIPAL" }
    }
}

/// What libnfs, as user 0, got done: files written are told by their owner, failures by the NFS status.
#[derive(Debug, PartialEq, Eq)]
struct Did {
    list: Result<(), &'static str>,
    /// To a folder that only root may write to.
    write_as_root: Result<u32, &'static str>,
    /// To a folder that everybody may write to.
    write: Result<u32, &'static str>,
}

const ROFS: &str = "NFS4ERR_ROFS";
const ACCESS: &str = "NFS4ERR_ACCESS";

impl Did {
    /// `name` is that of no file yet.
    fn try_all(port: u16, export: &Path, name: &str) -> Self {
        let client = Libnfs::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "written").unwrap();
        let write = |name: &str| {
            client.put(&file, name).map_err(|error| status(&error))?;
            let written = export.join(name);
            assert_eq!(fs::read_to_string(&written).unwrap(), "written");
            Ok(fs::metadata(&written).unwrap().uid())
        };
        let list = client.list().map(|listing| assert!(listing.contains(OPEN_TO_ALL), "{listing}"));
        Self {
            list: list.map_err(|error| status(&error)),
            write_as_root: write(name),
            write: write(&format!("{OPEN_TO_ALL}/{name}")),
        }
    }
}

fn status(error: &std::io::Error) -> &'static str {
    let text = error.to_string();
    [ROFS, ACCESS].into_iter().find(|status| text.contains(status)).unwrap_or_else(|| panic!("{text}"))
}

/// One folder, exported with each access.
struct Servers {
    full: Ganesha,
    others: [(Rights, Ganesha); 3],
}

impl Servers {
    fn start() -> Self {
        let full = Ganesha::start().unwrap();
        let open = full.export().join(OPEN_TO_ALL);
        fs::create_dir(&open).unwrap();
        fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
        let others = [
            (Rights::default().read_only(), ExportAccess::ReadOnly),
            (Rights::default().squash_root(), ExportAccess::RootSquashed),
            (Rights::default().read_only().squash_root(), ExportAccess::ReadOnlyRootSquashed),
        ];
        let others = others.map(|(rights, access)| (rights, full.start_beside(access).unwrap()));
        Self { full, others }
    }

    async fn behind_policy(&self, statements: &Value, pki: &TestPki) -> FakeMountTarget {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let rules = AdmissionRules::new(FILE_SYSTEM, "us-east-1")
            .key(KnownKey::new(KEY_ID, SECRET, USER))
            .policy(policy.parse().unwrap());
        let target = FakeMountTarget::builder(rules).plain_nfs().backend(self.full.addr());
        let target =
            self.others.iter().fold(target, |target, (rights, server)| target.backend_for(*rights, server.addr()));
        target.start(pki).await.unwrap()
    }
}

fn allow(principal: &Value, actions: &[&str]) -> Value {
    let actions: Vec<_> = actions.iter().map(|action| format!("elasticfilesystem:Client{action}")).collect();
    json!({ "Effect": "Allow", "Principal": principal, "Action": actions })
}

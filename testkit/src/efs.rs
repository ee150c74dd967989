//! A fake Amazon EFS mount target.
//!
//! [`FakeMountTarget`] is the server. [`AdmissionRules`] are its judgement of client certificates, which needs no connection:
//! code that makes such certificates can be tested with the rules alone. A [`FileSystemPolicy`] among them decides what each
//! client may do, and every connection leaves a [`ConnectionEvent`], also as CloudTrail would log it.
//!
//! # Limitations
//! The client certificate is documented nowhere but in the code of the EFS mount helper, and what the service tolerates
//! is not documented at all. The rules accept exactly what the helper (3.2) makes. That a refusal reaches the client as
//! an NFS reply is what users of the helper see; at which operation is not known, so it is a choice
//! ([`Denial`](crate::nfs::Denial)).

mod arn;
mod client_certificate;
mod der;
mod judgement;
mod known_key;
mod mount_target;
mod policy;
mod refusal;
mod rules;
mod service;
mod signature;
mod trail;
pub use judgement::{Claims, Judgement, Principal, Verdict};
pub use known_key::KnownKey;
pub use mount_target::{ConnectionEvent, Counters, FakeMountTarget, MountTargetBuilder};
pub use policy::{ClientAction, FileSystemPolicy, Permissions, PolicyError};
pub use refusal::{Part, Refusal, TokenFault};
pub use rules::{Admission, AdmissionRules};

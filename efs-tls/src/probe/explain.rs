//! What to look at or change when a file system does not let us in, or not all the way.

use super::{
    Access, Admission, Denial, Found, ProbeOutcome, Refusal, Status, WithoutAccessPoint, outcome::connect_error_in,
};
use crate::AccessPointId;

impl ProbeOutcome {
    /// What to look at or change, in plain words.
    pub fn explain(&self) -> String {
        match self {
            Self::Admitted(admission) => admission.explain(),
            Self::Denied(denial) => denial.explain(),
            Self::AccessPoint { access_point, .. } => explain_access_point(access_point),
            Self::OtherVersion { .. } => format!(
                "{}. Mount targets of EFS have 4.1, so this is another server: check what is dialled, and where a tunnel \
                 or a bastion leads to.",
                capitalized(self)
            ),
            Self::NotNfs { found } => found.explain(),
            Self::Busy(refusal) => format!(
                "The server speaks NFSv4.1 and asks to come back later ({refusal}). There is nothing to change; try again \
                 in a minute, or give the probe more time."
            ),
            Self::Rejected(refusal) => refusal.explain(),
            Self::TimedOut { during: Some(_), .. } => format!(
                "{}. The connection stands, but nothing comes back: the peer may wait for another protocol or be \
                 overloaded, or the far end of a tunnel may be gone.",
                capitalized(self)
            ),
            Self::TimedOut { during: None, .. } => format!(
                "{}. Give the probe more time: the connector's own time-outs then say which stage it is.",
                capitalized(self)
            ),
            Self::Disconnected { source, .. } => match connect_error_in(source) {
                Some(error) => error.explain(),
                None => format!(
                    "{}. A peer that ends the connection without an answer does not take it for NFS, or has nobody behind \
                     it: check the address and the port, and where a tunnel or a bastion leads to.",
                    capitalized(self)
                ),
            },
            Self::NotConnected(error) => error.explain(),
        }
    }
}

impl Admission {
    fn explain(&self) -> String {
        let withheld = self.withheld().without(Access::EXECUTE);
        let root = self.root.as_ref().map(|root| format!(" ({root})")).unwrap_or_default();
        let user = format!("user {}:{}", self.uid, self.gid);
        if withheld.is_empty() {
            return format!("There is nothing to change: {user} may do everything in the root directory{root}.");
        }
        if self.root_squashed() == Some(true) {
            return format!(
                "We are let in, and user 0 is taken for an ordinary user, which may not enter the root directory{root}. \
                 Allow elasticfilesystem:ClientRootAccess, or give the directory to the user of the access point."
            );
        }
        if !withheld.intersection(Access::READ.union(Access::LOOKUP)).is_empty() {
            return format!(
                "We are let in, but {user} may not enter the root directory{root}. Change its owner or mode, enter through \
                 an access point that sets the user, or probe as the user of the application."
            );
        }
        let as_root = if self.uid == 0 { " and, for user 0, elasticfilesystem:ClientRootAccess" } else { "" };
        format!(
            "We are let in, but {user} may not write in the root directory{root}: {withheld} is not granted. Either its \
             mode does not allow it, or no policy allows elasticfilesystem:ClientWrite{as_root}. For reading, there is \
             nothing to change."
        )
    }
}

impl Denial {
    fn explain(&self) -> String {
        let Self { refusal, without_access_point } = self;
        let compared = match without_access_point {
            WithoutAccessPoint::NotTried => " A policy may also admit clients through an access point only.".to_owned(),
            WithoutAccessPoint::DeniedToo(_) => " We are denied without the access point too, so it is not the only \
                 reason; it may be one where the policy admits clients through access points only."
                .to_owned(),
            WithoutAccessPoint::OtherCredentials { access_key_id } => format!(
                " Without the access point, and with the newer credentials {access_key_id}, we are let in: have the \
                 certificate renewed (EfsIdentity::renew_now) and probe again to learn which of the two it was."
            ),
            WithoutAccessPoint::Unknown(outcome) => {
                format!(" Whether it is because of the access point could not be told: {outcome}.")
            }
        };
        format!(
            "The connection stands and the peer speaks NFS, but it denies us ({refusal}), and EFS does not say why. Check \
             that the file-system policy or an IAM policy of the principal allows elasticfilesystem:ClientMount, and that \
             none denies it; that the credentials are those of that principal, and in force; that the file system and the \
             region are the ones meant; and our clock.{compared} CloudTrail has the decision for clients with \
             credentials."
        )
    }
}

fn explain_access_point(access_point: &AccessPointId) -> String {
    format!(
        "Without the access point we are let in, so the network, the credentials, the clock and the policy for the file \
         system are in order. Look at `aws efs describe-access-points --access-point-id {access_point}`: it does not exist, \
         or no longer, or belongs to another file system; or its root directory does not exist, and it has no CreationInfo \
         to make it with; or a policy denies this access point (elasticfilesystem:AccessPointArn). One that is new may need \
         a moment: try again."
    )
}

impl Found {
    fn explain(self) -> String {
        match self {
            Self::Protocol("TLS") => {
                "The peer speaks TLS: let an EfsConnector make the connection, or probe the stream \
                 inside TLS."
                    .to_owned()
            }
            _ => format!(
                "The peer does not speak NFS; it answered with {self}. Check the address and the port (2049 on a mount \
                 target), and where a tunnel or a bastion leads to."
            ),
        }
    }
}

impl Refusal {
    fn explain(self) -> String {
        let advice = match self.status {
            Status::Nfs(Status::NOENT) => {
                "The root does not exist: give the access point CreationInfo, or make its root directory."
            }
            Status::Nfs(Status::WRONGSEC) | Status::RpcAuth(_) => {
                "It wants clients to authenticate otherwise than by AUTH_SYS. EFS does not: check what is dialled."
            }
            _ => "That is neither a denial nor a request for patience; the server's operator has to look into it.",
        };
        format!("The peer speaks RPC and answered {self}. {advice}")
    }
}

fn capitalized(outcome: &ProbeOutcome) -> String {
    let mut text = outcome.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

//! A probe as one JSON object.

use std::time::SystemTime;

use secure_connector::{Rfc3339, error_chain};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Access, Denial, Operation, Probe, ProbeOutcome, Status, WithoutAccessPoint};

/// `outcome` ([`ProbeKind`](super::ProbeKind)), `retryable`, `message`, `explanation`, `hints`, `took` in seconds and
/// `report`; besides `admission`, `refusal`, `access_point` and `without_access_point`, null where the outcome has none.
impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcome = &self.outcome;
        let message = match outcome {
            ProbeOutcome::NotConnected(error) => error_chain(error),
            outcome => outcome.to_string(),
        };
        let admission = if let ProbeOutcome::Admitted(admission) = outcome { Some(admission) } else { None };
        let (refusal, access_point, without_access_point) = match outcome {
            ProbeOutcome::Denied(Denial { refusal, without_access_point: WithoutAccessPoint::NotTried }) => {
                (Some(refusal), None, None)
            }
            ProbeOutcome::Denied(Denial { refusal, without_access_point }) => {
                (Some(refusal), None, Some(without_access_point.to_string()))
            }
            ProbeOutcome::AccessPoint { access_point, refusal, without } => {
                (Some(refusal), Some(access_point), Some(without.to_string()))
            }
            ProbeOutcome::Busy(refusal) | ProbeOutcome::Rejected(refusal) => (Some(refusal), None, None),
            _ => (None, None, None),
        };
        let mut fields = serializer.serialize_struct("Probe", 11)?;
        fields.serialize_field("outcome", &outcome.kind())?;
        fields.serialize_field("retryable", &outcome.is_retryable())?;
        fields.serialize_field("message", &message)?;
        fields.serialize_field("explanation", &self.explain())?;
        fields.serialize_field("hints", &self.hints)?;
        fields.serialize_field("admission", &admission)?;
        fields.serialize_field("refusal", &refusal)?;
        fields.serialize_field("access_point", &access_point)?;
        fields.serialize_field("without_access_point", &without_access_point)?;
        fields.serialize_field("took", &self.took.as_secs_f64())?;
        fields.serialize_field("report", &self.report)?;
        fields.end()
    }
}

impl Serialize for Access {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Rfc3339(*time))
}

//! What the operator approved: which program may run as which exporter, and with what powers.
//!
//! An approval is bound to the digest of the component's bytes. Another program at the same path, or under the same name,
//! has no part in it. The approvals and the approved bytes lie in the host's [state directory](directory), which nobody
//! else can write: a file beside a component grants nothing.
//!
//! This room keeps and compares approvals. Who asks for what is in [`crate::config::component`]; which component runs is
//! decided in [`crate::config::select`].

mod digest;
pub mod directory;
pub mod grants;
pub mod store;

pub use digest::digest;
pub use directory::{DirectoryError, StateDirectory};
pub use grants::{Grants, SettingGrant};
pub use store::{Approval, Approvals, ApprovalsError, ApprovedBy};

//! Security descriptors as text.

mod names;
mod read;
mod write;

pub(super) use read::parse;
pub(super) use write::write;

use super::SecurityDescriptorError;

/// What is wrong with an SDDL string. Positions are in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SddlError {
    /// Something else should be there.
    #[error("SDDL has \"{found}\" at position {position}, expected {expected}")]
    Syntax {
        /// Where.
        position: usize,
        /// The text there, escaped and cut.
        found: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A part is given twice.
    #[error("SDDL gives {part} a second time at position {position}")]
    Repeated {
        /// Where.
        position: usize,
        /// `"O:"`, `"G:"`, `"D:"` or `"S:"`.
        part: &'static str,
    },
    /// An alias whose SID depends on the domain or machine the descriptor comes from.
    #[error(
        "SDDL alias \"{alias}\" at position {position} means a member of a domain or machine and has no fixed SID; write the SID itself (S-1-5-21-…)"
    )]
    DomainRelative {
        /// Where.
        position: usize,
        /// The alias.
        alias: String,
    },
    /// A conditional, resource attribute or access filter ACE.
    #[error(
        "SDDL has an ACE of type {kind} at position {position}; ACEs with conditions or claims cannot be encoded"
    )]
    Conditional {
        /// Where.
        position: usize,
        /// The type as written.
        kind: String,
    },
    /// The result would not be a valid descriptor, for example because it is too long.
    #[error("SDDL does not give a valid security descriptor")]
    Invalid(#[source] SecurityDescriptorError),
    /// An ACL or an ACE would take more bytes than its size field can say.
    #[error("SDDL gives an ACL or ACE of {len} bytes, at most 65532 are possible")]
    TooLong {
        /// Bytes it would take.
        len: usize,
    },
}

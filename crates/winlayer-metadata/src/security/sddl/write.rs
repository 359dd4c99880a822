//! From a descriptor to SDDL.

use std::fmt::Write as _;

use super::names::{
    ACE_FLAGS, ACL_FLAGS, LABEL_RIGHTS, MANDATORY_LABEL, NULL_ACL, SINGLE_RIGHTS, WHOLE_RIGHTS,
    alias_of_sid, name_of_ace_type,
};
use crate::security::acl::{Ace, AceBody, INHERITED_OBJECT_TYPE, OBJECT_TYPE};
use crate::security::{AclKind, SecurityDescriptor, Sid};

/// The whole descriptor; see [`SecurityDescriptor::to_sddl`].
pub(crate) fn write(descriptor: &SecurityDescriptor) -> String {
    let mut out = String::new();
    for (part, sid) in [("O:", descriptor.owner()), ("G:", descriptor.group())] {
        if let Some(sid) = sid {
            out.push_str(part);
            push_sid(&sid, &mut out);
        }
    }
    for (part, kind) in [("D:", AclKind::Dacl), ("S:", AclKind::Sacl)] {
        let Some(acl) = descriptor.acl(kind) else {
            continue;
        };
        out.push_str(part);
        for (name, dacl_bit, sacl_bit) in ACL_FLAGS {
            let bit = if kind == AclKind::Dacl {
                dacl_bit
            } else {
                sacl_bit
            };
            if descriptor.control() & bit != 0 {
                out.push_str(name);
            }
        }
        match acl {
            None => out.push_str(NULL_ACL),
            // The descriptor was checked when it was made, so every ACE is well formed.
            Some(acl) => acl
                .aces()
                .flatten()
                .for_each(|ace| push_ace(&ace, &mut out)),
        }
    }
    out
}

fn push_ace(ace: &Ace<'_>, out: &mut String) {
    let expressible = ace.body().ok().flatten().filter(|body| {
        body.data.is_empty() && body.object_flags & !(OBJECT_TYPE | INHERITED_OBJECT_TYPE) == 0
    });
    match (name_of_ace_type(ace.kind), expressible) {
        (Some(kind), Some(body)) => {
            let _ = write!(out, "({kind};");
            push_flags(ace.flags, out);
            out.push(';');
            push_body(ace.kind, &body, out);
        }
        _ => {
            let _ = write!(out, "(0x{:02x};", ace.kind);
            push_flags(ace.flags, out);
            out.push_str(";#");
            for byte in ace.body {
                let _ = write!(out, "{byte:02x}");
            }
            out.push_str(";;;");
        }
    }
    out.push(')');
}

fn push_body(kind: u8, body: &AceBody<'_>, out: &mut String) {
    push_rights(kind, body.mask, out);
    for guid in [body.object, body.inherited_object] {
        out.push(';');
        if let Some(guid) = guid {
            push_guid(guid, out);
        }
    }
    out.push(';');
    push_sid(&body.sid, out);
}

fn push_flags(flags: u8, out: &mut String) {
    let known = ACE_FLAGS.iter().fold(0, |bits, (_, bit)| bits | bit);
    if flags & !known != 0 {
        let _ = write!(out, "0x{flags:02x}");
        return;
    }
    push_names(&ACE_FLAGS, |bit| flags & bit != 0, out);
}

fn push_rights(kind: u8, mask: u32, out: &mut String) {
    let table = if kind == MANDATORY_LABEL {
        &LABEL_RIGHTS[..]
    } else {
        &SINGLE_RIGHTS[..]
    };
    let known = table.iter().fold(0, |bits, (_, bit)| bits | bit);
    let whole = WHOLE_RIGHTS
        .iter()
        .find(|(_, value)| *value == mask && kind != MANDATORY_LABEL);
    if let Some((name, _)) = whole {
        out.push_str(name);
    } else if mask != 0 && mask & !known == 0 {
        push_names(table, |bit| mask & bit != 0, out);
    } else {
        let _ = write!(out, "{mask:#x}");
    }
}

fn push_names<T: Copy>(table: &[(&str, T)], is_set: impl Fn(T) -> bool, out: &mut String) {
    for (name, _) in table.iter().filter(|(_, bit)| is_set(*bit)) {
        out.push_str(name);
    }
}

fn push_guid(guid: [u8; 16], out: &mut String) {
    // The first three groups are little-endian numbers, the rest bytes in order.
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
    let _ = write!(
        out,
        "{:08x}-{:04x}-{:04x}-",
        u32::from_le_bytes([a, b, c, d]),
        u16::from_le_bytes([e, f]),
        u16::from_le_bytes([g, h])
    );
    for (index, byte) in rest.into_iter().enumerate() {
        let dash = if index == 2 { "-" } else { "" };
        let _ = write!(out, "{dash}{byte:02x}");
    }
}

fn push_sid(sid: &Sid, out: &mut String) {
    let text = sid.to_string();
    out.push_str(alias_of_sid(&text).unwrap_or(&text));
}

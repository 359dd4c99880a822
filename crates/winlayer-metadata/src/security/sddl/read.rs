//! From SDDL to a descriptor.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::SddlError;
use super::names::{self, ACL_FLAGS, AceType, NULL_ACL};
use crate::security::acl::{AceHeader, AclHeader, INHERITED_OBJECT_TYPE, OBJECT_TYPE, Shape};
use crate::security::{
    AclKind, DACL_PRESENT, DescriptorHeader, SACL_PRESENT, SELF_RELATIVE, SecurityDescriptor, Sid,
    sid,
};
use crate::text::excerpt;

const PARTS: &str = "O:, G:, D: or S:";

/// The parts of a descriptor as they are read. An ACL is its bytes; `Some(None)` is a NULL ACL.
#[derive(Default)]
struct Parts {
    control: u16,
    owner: Option<Sid>,
    group: Option<Sid>,
    dacl: Option<Option<Vec<u8>>>,
    sacl: Option<Option<Vec<u8>>>,
}

/// The whole text; see [`SecurityDescriptor::from_sddl`].
pub(crate) fn parse(text: &str) -> Result<SecurityDescriptor, SddlError> {
    let mut cursor = Cursor { text, at: 0 };
    let mut parts = Parts::default();
    while !cursor.at_end() {
        let start = cursor.at;
        let repeated = |part| SddlError::Repeated {
            position: start,
            part,
        };
        if cursor.eat("O:") {
            if parts.owner.replace(cursor.sid()?).is_some() {
                return Err(repeated("O:"));
            }
        } else if cursor.eat("G:") {
            if parts.group.replace(cursor.sid()?).is_some() {
                return Err(repeated("G:"));
            }
        } else if cursor.eat("D:") {
            let acl = cursor.acl(AclKind::Dacl, &mut parts.control)?;
            if parts.dacl.replace(acl).is_some() {
                return Err(repeated("D:"));
            }
        } else if cursor.eat("S:") {
            let acl = cursor.acl(AclKind::Sacl, &mut parts.control)?;
            if parts.sacl.replace(acl).is_some() {
                return Err(repeated("S:"));
            }
        } else {
            return Err(cursor.unexpected(PARTS));
        }
    }
    SecurityDescriptor::parse(&parts.encode()).map_err(SddlError::Invalid)
}

impl Parts {
    /// Owner, group, SACL and DACL one after the other behind the header.
    fn encode(self) -> Vec<u8> {
        let head = size_of::<DescriptorHeader>();
        let mut body = Vec::new();
        // Parts beyond 4 GiB cannot come up: each ACL has at most 64 KiB.
        let here = |body: &Vec<u8>| U32::new((head + body.len()) as u32);
        let mut control = self.control | SELF_RELATIVE;
        let sids = [self.owner, self.group].map(|sid| {
            sid.map_or(U32::ZERO, |sid| {
                let offset = here(&body);
                sid.encode_into(&mut body);
                offset
            })
        });
        let acls = [(self.sacl, SACL_PRESENT), (self.dacl, DACL_PRESENT)].map(|(acl, present)| {
            control |= if acl.is_some() { present } else { 0 };
            acl.flatten().map_or(U32::ZERO, |acl| {
                let offset = here(&body);
                body.extend_from_slice(&acl);
                offset
            })
        });
        let ([owner, group], [sacl, dacl]) = (sids, acls);
        let control = U16::new(control);
        let header = DescriptorHeader {
            revision: 1,
            resource_manager: 0,
            control,
            owner,
            group,
            sacl,
            dacl,
        };
        [header.as_bytes(), &body].concat()
    }
}

struct Cursor<'a> {
    text: &'a str,
    /// Bytes read so far; always at a character.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    fn at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest().is_empty()
    }

    /// Steps over `token` if it is next.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self
            .rest()
            .get(..token.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(token));
        if found {
            self.at += token.len();
        }
        found
    }

    fn unexpected(&self, expected: &'static str) -> SddlError {
        syntax(self.at, self.rest(), expected)
    }

    fn sid(&mut self) -> Result<Sid, SddlError> {
        self.skip_spaces();
        let (sid, rest) = read_sid(self.rest(), self.at)?;
        self.at = self.text.len() - rest.len();
        Ok(sid)
    }

    /// The flags and ACEs after `D:` or `S:`; sets control bits. `None` for a NULL ACL.
    fn acl(&mut self, kind: AclKind, control: &mut u16) -> Result<Option<Vec<u8>>, SddlError> {
        let mut null = false;
        loop {
            if self.eat(NULL_ACL) {
                null = true;
            } else if let Some((_, dacl_bit, sacl_bit)) =
                ACL_FLAGS.into_iter().find(|(name, ..)| self.eat(name))
            {
                *control |= if kind == AclKind::Dacl {
                    dacl_bit
                } else {
                    sacl_bit
                };
            } else {
                break;
            }
        }
        let mut aces = Vec::new();
        let (mut count, mut revision) = (0_usize, 2);
        while self.eat("(") {
            let Some((ace, _)) = self.rest().split_once(')') else {
                return Err(self.unexpected("an ACE ending with \")\""));
            };
            revision = revision.max(push_ace(ace, self.at, &mut aces)?);
            self.at += ace.len() + 1;
            count += 1;
        }
        if null {
            return if count == 0 {
                Ok(None)
            } else {
                Err(self.unexpected("no ACE beside NO_ACCESS_CONTROL"))
            };
        }
        let len = size_of::<AclHeader>() + aces.len();
        let size = u16::try_from(len).map_err(|_| SddlError::TooLong { len })?;
        let header = AclHeader {
            revision,
            reserved: 0,
            size: U16::new(size),
            // An ACE takes at least four bytes, so there are fewer of them than bytes.
            count: U16::new(count as u16),
            reserved2: U16::ZERO,
        };
        Ok(Some([header.as_bytes(), &aces].concat()))
    }
}

/// Appends one ACE, given the text between its parentheses; returns the ACL revision it needs.
fn push_ace(text: &str, position: usize, out: &mut Vec<u8>) -> Result<u8, SddlError> {
    let mut at = position;
    let fields: Vec<(usize, &str)> = text
        .split(';')
        .map(|field| {
            let start = at + (field.len() - field.trim_ascii_start().len());
            at += field.len() + 1;
            (start, field.trim_ascii())
        })
        .collect();
    let Some(&(kind_at, kind_name)) = fields.first() else {
        return Err(syntax(position, text, "an ACE"));
    };
    let raw = kind_name
        .get(..2)
        .is_some_and(|radix| radix.eq_ignore_ascii_case("0x"));
    let kind = if raw {
        None
    } else {
        names::ace_type(kind_name)
    };
    if kind == Some(AceType::Conditional) {
        return Err(SddlError::Conditional {
            position: kind_at,
            kind: kind_name.to_owned(),
        });
    }
    let [_, flags, rights, object, inherited_object, sid] = fields[..] else {
        return Err(syntax(position, text, "six fields separated by \";\""));
    };
    let (kind, body) = match kind {
        _ if raw => {
            let kind = number(kind_name).and_then(|kind| u8::try_from(kind).ok());
            let kind = kind.ok_or_else(|| syntax(kind_at, kind_name, "an ACE type of one byte"))?;
            require_empty(&[object, inherited_object, sid])?;
            (kind, read_raw_body(rights)?)
        }
        Some(AceType::Basic(kind)) => {
            require_empty(&[object, inherited_object])?;
            (kind, read_body(rights, None, sid)?)
        }
        Some(AceType::Object(kind)) => (
            kind,
            read_body(rights, Some((object, inherited_object)), sid)?,
        ),
        _ => return Err(syntax(kind_at, kind_name, "an ACE type such as A or D")),
    };
    let len = size_of::<AceHeader>() + body.len();
    let size = U16::new(u16::try_from(len).map_err(|_| SddlError::TooLong { len })?);
    out.extend_from_slice(
        AceHeader {
            kind,
            flags: read_flags(flags)?,
            size,
        }
        .as_bytes(),
    );
    out.extend_from_slice(&body);
    Ok(match (kind, Shape::of(kind)) {
        (_, Shape::Object) => 4,
        (0x04, _) => 3,
        _ => 2,
    })
}

type Field<'a> = (usize, &'a str);

fn read_body(
    rights: Field<'_>,
    guids: Option<(Field<'_>, Field<'_>)>,
    (sid_at, sid): Field<'_>,
) -> Result<Vec<u8>, SddlError> {
    let mut body = read_rights(rights)?.to_le_bytes().to_vec();
    if let Some((object, inherited_object)) = guids {
        let (object, inherited_object) = (read_guid(object)?, read_guid(inherited_object)?);
        let flags = object.map_or(0, |_| OBJECT_TYPE)
            | inherited_object.map_or(0, |_| INHERITED_OBJECT_TYPE);
        body.extend_from_slice(&flags.to_le_bytes());
        body.extend([object, inherited_object].into_iter().flatten().flatten());
    }
    match read_sid(sid, sid_at)? {
        (sid, "") => sid.encode_into(&mut body),
        _ => return Err(syntax(sid_at, sid, "one SID")),
    }
    Ok(body)
}

/// `#` and the bytes of the body in hexadecimal.
fn read_raw_body((at, text): Field<'_>) -> Result<Vec<u8>, SddlError> {
    let bad = || syntax(at, text, "\"#\" and the bytes of the ACE in hexadecimal");
    let digits = text.strip_prefix('#').ok_or_else(bad)?;
    if digits.len() % 8 != 0 {
        return Err(syntax(at, text, "a multiple of four bytes in hexadecimal"));
    }
    read_hex(digits).ok_or_else(bad)
}

fn read_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some((value(*high)? * 16 + value(*low)?) as u8));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

fn require_empty(fields: &[Field<'_>]) -> Result<(), SddlError> {
    match fields.iter().find(|(_, text)| !text.is_empty()) {
        Some((at, text)) => Err(syntax(*at, text, "an empty field")),
        None => Ok(()),
    }
}

fn read_flags((at, text): Field<'_>) -> Result<u8, SddlError> {
    let bad = || syntax(at, text, "ACE flags such as OICI");
    if let Some(value) = number(text) {
        return u8::try_from(value).map_err(|_| bad());
    }
    pairs(text, names::ace_flag)
        .and_then(|mut bits| bits.try_fold(0, |all, bit| Some(all | bit?)))
        .ok_or_else(bad)
}

fn read_rights((at, text): Field<'_>) -> Result<u32, SddlError> {
    if let Some(value) = number(text) {
        return Ok(value);
    }
    let bits = pairs(text, names::right)
        .and_then(|mut bits| bits.try_fold(0, |all, bit| Some(all | bit?)));
    bits.ok_or_else(|| syntax(at, text, "rights such as FA or 0x1200a9"))
}

/// Looks up each pair of letters. `None` when the text is not ASCII pairs.
fn pairs<T>(
    text: &str,
    look_up: impl Fn(&str) -> Option<T>,
) -> Option<impl Iterator<Item = Option<T>>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let whole = rest.is_empty() && text.is_ascii();
    whole.then(|| {
        pairs
            .iter()
            .map(move |pair| look_up(str::from_utf8(pair).ok()?))
    })
}

/// A hexadecimal number of one to eight digits after `0x`, or a decimal one without leading zero.
fn number(text: &str) -> Option<u32> {
    match text.split_at_checked(2) {
        Some((radix, digits)) if radix.eq_ignore_ascii_case("0x") => {
            let hex =
                (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| u32::from_str_radix(digits, 16).ok())?
        }
        _ => {
            let decimal =
                text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            decimal.then(|| text.parse().ok())?
        }
    }
}

fn read_guid((at, text): Field<'_>) -> Result<Option<[u8; 16]>, SddlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let dashes = text
        .bytes()
        .enumerate()
        .all(|(i, byte)| (byte == b'-') == matches!(i, 8 | 13 | 18 | 23));
    let bytes = read_hex(&text.replace('-', "")).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let Some([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]) = bytes.filter(|_| dashes) else {
        return Err(syntax(at, text, "a GUID"));
    };
    Ok(Some([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]))
}

/// The SID or alias at the start of `text`, and what follows it.
fn read_sid(text: &str, position: usize) -> Result<(Sid, &str), SddlError> {
    if let Some(found) = sid::read(text) {
        return Ok(found);
    }
    let expected = || syntax(position, text, "a SID or one of its two-letter aliases");
    let (alias, rest) = text.split_at_checked(2).ok_or_else(expected)?;
    if names::is_domain_relative(alias) {
        return Err(SddlError::DomainRelative {
            position,
            alias: alias.to_owned(),
        });
    }
    names::sid_of_alias(alias)
        .map(|sid| (sid, rest))
        .ok_or_else(expected)
}

fn syntax(position: usize, found: &str, expected: &'static str) -> SddlError {
    SddlError::Syntax {
        position,
        found: excerpt(found),
        expected,
    }
}

//! The bytes of streams, on their way to clusters or into the record.

use std::io::{self, Read, Seek, Write};

use winlayer_metadata::FileAttributes;

use super::{
    State, VolumeWriter, lost,
    object::{Body, BodyPlace, SparseBody},
    output::{Order, Output},
    refused,
    space::Space,
};
use crate::{
    NtfsError, Result,
    attribute::{Attribute, Content, attribute_flags},
    format::CLUSTER,
};

impl<D: Read + Write + Seek> VolumeWriter<D> {
    pub(super) fn begin_body(
        &mut self,
        name: Vec<u16>,
        size: u64,
        attributes: FileAttributes,
    ) -> Result<()> {
        let Some(object) = &mut self.object else {
            return Ok(());
        };
        let sparse = attributes.contains(FileAttributes::SPARSE_FILE);
        let place = if object.has_room(&name, size) {
            BodyPlace::Resident(Vec::with_capacity(size as usize))
        } else if sparse {
            BodyPlace::Sparse(SparseBody::default())
        } else {
            BodyPlace::Clusters(self.space.allocate(size.div_ceil(CLUSTER))?)
        };
        object.body = Some(Body {
            name,
            size,
            written: 0,
            place,
        });
        Ok(())
    }

    /// Takes the next bytes of the current stream.
    pub(super) fn write_body(&mut self, bytes: &[u8]) -> Result<()> {
        let body = self.object.as_mut().and_then(|object| object.body.as_mut());
        let left = body.as_ref().map_or(0, |body| body.left());
        let Some(body) = body.filter(|_| bytes.len() as u64 <= left) else {
            let rule = format!("{left} bytes are left of its size, {} came", bytes.len());
            return Err(refused("a stream", rule));
        };
        match &mut body.place {
            BodyPlace::Resident(value) => value.extend(bytes),
            BodyPlace::Clusters(first) => {
                let offset = *first * CLUSTER + body.written;
                self.out.content(offset, bytes)?;
            }
            BodyPlace::Sparse(sparse) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let room = SparseBody::UNIT - sparse.unit.len();
                    let (now, later) = rest.split_at(room.min(rest.len()));
                    sparse.unit.extend(now);
                    rest = later;
                    if sparse.unit.len() == SparseBody::UNIT {
                        end_unit(sparse, &mut self.space, &mut self.out)?;
                    }
                }
            }
        }
        body.written += bytes.len() as u64;
        Ok(())
    }

    /// Completes the current stream.
    pub(super) fn end_body(&mut self) -> Result<()> {
        let Some(object) = &mut self.object else {
            return Ok(());
        };
        let Some(mut body) = object.body.take() else {
            return Ok(());
        };
        body.check_end().map_err(NtfsError::write)?;
        match &mut body.place {
            BodyPlace::Resident(_) => {}
            BodyPlace::Clusters(first) => {
                let end = *first * CLUSTER + body.size;
                pad_cluster(&mut self.out, end)?;
            }
            BodyPlace::Sparse(sparse) => end_unit(sparse, &mut self.space, &mut self.out)?,
        }
        let attribute = body.into_attribute();
        if let Some(node) = self.nodes.get_mut(object.file as usize) {
            if attribute.name.is_empty() {
                node.size = attribute.size();
                node.allocated = allocated_bytes(&attribute);
            }
            if attribute.flags & attribute_flags::SPARSE != 0 {
                node.attributes |= FileAttributes::SPARSE_FILE.bits();
            }
        }
        object.push(attribute);
        Ok(())
    }

    /// Completes the current object and writes its record, unless it is a directory, which may still get names.
    pub(super) fn end_object(&mut self) -> Result<()> {
        self.end_body()?;
        let Some(object) = self.object.take() else {
            return Ok(());
        };
        let file = object.file;
        if self.node(file)?.is_directory() {
            self.directories.insert(file, object.attributes);
            return Ok(());
        }
        let name = self.names.get(self.node(file)?.last_name);
        let name = name.ok_or_else(lost)?;
        let mut attributes = object.attributes;
        attributes.push(self.standard_information(file)?);
        attributes.push(self.file_name_attribute(&name)?);
        self.put_record(file, attributes, Order::Rising)?;
        if let Some(node) = self.nodes.get_mut(file as usize) {
            node.state = match node.names {
                1 => State::Written,
                _ => State::Changed,
            };
        }
        Ok(())
    }
}

impl<D: Read + Write + Seek> Write for VolumeWriter<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.write_body(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(NtfsError::Io { source, .. }) => Err(source),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the collected unit of a sparse stream, or leaves it out.
fn end_unit<D: Read + Write + Seek>(
    sparse: &mut SparseBody,
    space: &mut Space,
    out: &mut Output<D>,
) -> Result<()> {
    if sparse.unit.is_empty() {
        return Ok(());
    }
    let clusters = (sparse.unit.len() as u64).div_ceil(CLUSTER);
    let lcn = match sparse.unit_is_hole() {
        true => None,
        false => Some(space.allocate(clusters)?),
    };
    if let Some(lcn) = lcn {
        out.content(lcn * CLUSTER, &sparse.unit)?;
        pad_cluster(out, lcn * CLUSTER + sparse.unit.len() as u64)?;
    }
    sparse.add(lcn, clusters);
    sparse.unit.clear();
    Ok(())
}

/// Fills the last cluster of a stream, so that the next one joins it in one write.
pub(super) fn pad_cluster<D: Read + Write + Seek>(out: &mut Output<D>, end: u64) -> Result<()> {
    const ZEROS: [u8; CLUSTER as usize] = [0; CLUSTER as usize];
    let padding = end.next_multiple_of(CLUSTER) - end;
    out.content(end, ZEROS.get(..padding as usize).unwrap_or_default())
}

/// As `$FILE_NAME` says it: of a resident stream its place in the record.
pub(super) fn allocated_bytes(attribute: &Attribute) -> u64 {
    match &attribute.content {
        Content::Resident { value, .. } => (value.len() as u64).next_multiple_of(8),
        Content::NonResident(value) => value.in_use.unwrap_or(value.allocated),
    }
}

//! A tar of an OCI image layout.

use std::{io, path::Path};

use super::{
    layout::{Files, LayoutSource},
    tar_index::{Member, TarIndex},
};
use crate::error::ImageError;

impl Files for TarIndex {
    type File = Member;

    fn open(&self, path: &str) -> io::Result<Option<(Member, u64)>> {
        self.open_member(path)
    }

    fn name(&self) -> String {
        self.shown_name()
    }
}

pub(super) fn open(
    file: &Path,
    tag: Option<&str>,
    limit: u64,
) -> Result<LayoutSource<TarIndex>, ImageError> {
    LayoutSource::new(TarIndex::scan(file)?, tag, limit)
}

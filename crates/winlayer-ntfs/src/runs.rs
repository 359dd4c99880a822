//! Mapping pairs: where the clusters of a value are.
//!
//! Each run is a byte with two nibbles (bytes of the length, bytes of the cluster), the length, and the cluster as a signed
//! difference from the run before; a run without cluster bytes is a hole. A zero byte ends the list.

/// Clusters that lie together, or are left out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First cluster; none for a hole.
    pub lcn: Option<u64>,
    /// How many; never 0.
    pub clusters: u64,
}

/// What is wrong with mapping pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RunsError {
    #[error("mapping pairs end inside a run or without an end")]
    Truncated,
    #[error("a run of no clusters, or of more than a volume can have")]
    Length,
    #[error("a run before the start of the volume or beyond what 63 bits count")]
    Cluster,
}

/// Clusters of all runs together, holes included.
pub(crate) fn clusters_of(runs: &[Run]) -> u64 {
    runs.iter()
        .fold(0, |sum, run| sum.saturating_add(run.clusters))
}

/// Clusters of all runs together, holes left out.
pub(crate) fn clusters_in_use(runs: &[Run]) -> u64 {
    runs.iter()
        .filter(|run| run.lcn.is_some())
        .fold(0, |sum, run| sum.saturating_add(run.clusters))
}

/// Appends the mapping pairs of `runs`, end included, to `out`.
pub(crate) fn encode(runs: &[Run], out: &mut Vec<u8>) {
    let mut previous = 0_u64;
    for run in runs {
        let length = signed_bytes(run.clusters.cast_signed());
        let cluster = run.lcn.map(|lcn| {
            let difference = lcn.wrapping_sub(previous).cast_signed();
            previous = lcn;
            (difference, signed_bytes(difference))
        });
        let cluster_bytes = cluster.map_or(0, |(_, bytes)| bytes);
        out.push((cluster_bytes << 4) | length);
        let take = |bytes: u8| usize::from(bytes.min(8));
        out.extend(run.clusters.to_le_bytes().iter().take(take(length)));
        if let Some((difference, bytes)) = cluster {
            out.extend(difference.to_le_bytes().iter().take(take(bytes)));
        }
    }
    out.push(0);
}

/// The fewest bytes that hold `value` with its sign.
fn signed_bytes(value: i64) -> u8 {
    let magnitude = if value < 0 { !value } else { value };
    let bits = 64 - magnitude.leading_zeros() + 1;
    bits.div_ceil(8).max(1) as u8
}

/// Reads mapping pairs up to their end.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Run>, RunsError> {
    let mut runs = Vec::new();
    let mut rest = bytes;
    let mut previous = 0_i64;
    loop {
        let (&head, after) = rest.split_first().ok_or(RunsError::Truncated)?;
        if head == 0 {
            return Ok(runs);
        }
        let (length, cluster) = (usize::from(head & 0xf), usize::from(head >> 4));
        let (clusters, after) = signed(after, length)?;
        let (difference, after) = signed(after, cluster)?;
        let clusters = u64::try_from(clusters).map_err(|_| RunsError::Length)?;
        if clusters == 0 || clusters > u64::MAX >> 16 {
            return Err(RunsError::Length);
        }
        let lcn = if cluster == 0 {
            None
        } else {
            previous = previous.checked_add(difference).ok_or(RunsError::Cluster)?;
            Some(u64::try_from(previous).map_err(|_| RunsError::Cluster)?)
        };
        runs.push(Run { lcn, clusters });
        rest = after;
    }
}

fn signed(bytes: &[u8], length: usize) -> Result<(i64, &[u8]), RunsError> {
    if length > 8 {
        return Err(RunsError::Length);
    }
    let (number, after) = bytes.split_at_checked(length).ok_or(RunsError::Truncated)?;
    let negative = number.last().is_some_and(|&top| top >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let mut whole = [fill; 8];
    for (to, from) in whole.iter_mut().zip(number) {
        *to = *from;
    }
    Ok((i64::from_le_bytes(whole), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_the_examples_of_the_layout_documentation() {
        // linux-ntfs, "Data runs": a fragmented file, and one with a hole.
        let bytes = [
            0x31, 0x38, 0x73, 0x25, 0x34, 0x32, 0x14, 0x01, 0xe5, 0x11, 0x02, 0x31, 0x42, 0xaa,
            0x00, 0x03, 0,
        ];
        let runs = decode(&bytes).unwrap();
        let expected = [(0x34_2573, 0x38), (0x36_3758, 0x114), (0x39_3802, 0x42)];
        let expected = expected.map(|(lcn, clusters)| Run {
            lcn: Some(lcn),
            clusters,
        });
        assert_eq!(runs, expected);
        let mut again = Vec::new();
        encode(&runs, &mut again);
        assert_eq!(again, bytes);

        let bytes = [0x11, 0x30, 0x20, 0x01, 0x60, 0x11, 0x10, 0x30, 0];
        let runs = decode(&bytes).unwrap();
        assert_eq!(runs[1].lcn, None);
        assert_eq!(runs[2].lcn, Some(0x50));
        assert_eq!(clusters_of(&runs), 0xa0);
        assert_eq!(clusters_in_use(&runs), 0x40);
    }

    #[test]
    fn refuses_what_leads_nowhere() {
        assert_eq!(decode(&[]), Err(RunsError::Truncated));
        assert_eq!(decode(&[0x11, 0x01]), Err(RunsError::Truncated));
        assert_eq!(decode(&[0x11, 0x00, 0x01, 0]), Err(RunsError::Length));
        assert_eq!(decode(&[0x11, 0xff, 0x01, 0]), Err(RunsError::Length));
        assert_eq!(decode(&[0x11, 0x01, 0x80, 0]), Err(RunsError::Cluster));
        assert_eq!(
            decode(&[0x19, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            Err(RunsError::Length)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(runs in prop::collection::vec(
            (prop::option::of(0..u64::MAX >> 2), 1..u64::MAX >> 16), 0..20))
        {
            let runs: Vec<Run> = runs.into_iter().map(|(lcn, clusters)| Run { lcn, clusters }).collect();
            let mut bytes = Vec::new();
            encode(&runs, &mut bytes);
            prop_assert_eq!(decode(&bytes).unwrap(), runs);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}

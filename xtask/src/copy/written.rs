//! What followers of a spool can read while it is being filled.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes that stay in memory behind the writer: a follower that keeps up reads nothing from the file.
const RECENT: u64 = 4 << 20;

/// What is stored, and what is recent; together that is everything, or everything that is still wanted.
#[derive(Default)]
pub(super) struct Written {
    /// Bytes of the file.
    pub stored: u64,
    /// Bytes in all.
    pub length: u64,
    /// The last pieces, oldest first.
    recent: VecDeque<Bytes>,
}

impl Written {
    pub fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        self.recent.push_back(piece);
    }

    /// The file has at least what was pushed.
    pub fn store(&mut self) {
        self.stored = self.length;
        self.forget(self.length.saturating_sub(RECENT));
    }

    /// Nobody needs what is before `position`.
    pub fn forget(&mut self, position: u64) {
        let held: u64 = self.recent.iter().map(|piece| piece.len() as u64).sum();
        let mut start = self.length - held;
        while let Some(oldest) = self.recent.front()
            && let end = start + oldest.len() as u64
            && end <= position
        {
            start = end;
            self.recent.pop_front();
        }
    }

    /// The bytes from `position` to the end of their piece, if they are in memory.
    pub fn recent(&self, position: u64) -> Option<Bytes> {
        let mut start = self.length;
        self.recent.iter().rev().find_map(|piece| {
            start -= piece.len() as u64;
            let skip = position.checked_sub(start)?;
            Some(piece.slice(skip as usize..))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stored_is_recent_and_of_what_is_stored_the_end() {
        let mut written = Written::default();
        let of = [RECENT, 1, RECENT, 5];
        for length in of {
            written.push(vec![0; length as usize].into());
        }
        let end: u64 = of.iter().sum();
        let at = |written: &Written, position| written.recent(position).map(|it| it.len() as u64);
        assert_eq!(at(&written, 0), Some(RECENT));
        assert_eq!(at(&written, RECENT - 1), Some(1));
        written.store();
        assert_eq!(written.stored, end);
        // The last two are enough; whoever is behind them reads the file.
        assert_eq!(at(&written, RECENT), None);
        assert_eq!(at(&written, RECENT + 1), Some(RECENT));
        assert_eq!(at(&written, end - 5), Some(5));
    }

    #[test]
    fn what_nobody_took_is_kept() {
        let mut written = Written::default();
        for length in [3, 4, 5] {
            written.push(vec![0; length].into());
        }
        for (taken, first) in [(0, 0), (2, 0), (3, 3), (6, 3), (12, 12)] {
            written.forget(taken);
            let kept = (0..12).find(|position| written.recent(*position).is_some());
            assert_eq!(kept.unwrap_or(12), first, "{taken}");
        }
    }
}

//! Sums the byte counts of a push over its layers.
//!
//! The engine names the layer in every line, but bollard drops the name (its `PushImageInfo` has no `id`), so lines are
//! matched by the rest: a layer has a fixed total, and its count only grows. If two layers have the same size, the sum
//! may be a little low, but never too high.

/// Bytes of all layers that the engine has started to push.
///
/// A classic engine counts a layer before compression, one with the containerd image store after it. `total` grows
/// when another layer starts; layers that the registry has are in neither number. A layer that the engine sends twice
/// counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub current: u64,
    pub total: u64,
}

/// What each layer has of it.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Progress>);

impl Layers {
    /// Adds the numbers of one line.
    pub(super) fn observe(&mut self, current: u64, total: u64) {
        let same_size = || self.0.iter().filter(|layer| layer.total == total);
        if same_size().any(|layer| layer.current == current) {
            return;
        }
        let furthest = self
            .0
            .iter_mut()
            .filter(|layer| layer.total == total && layer.current < current)
            .max_by_key(|layer| layer.current);
        match furthest {
            Some(layer) => layer.current = current,
            None => self.0.push(Progress { current, total }),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            current: self.0.iter().map(|layer| layer.current).sum(),
            // The total is the sum of the files' sizes; the layer's archive is a little longer.
            total: self
                .0
                .iter()
                .map(|layer| layer.total.max(layer.current))
                .sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[(u64, u64)]) -> (u64, u64) {
        let mut layers = Layers::default();
        for (current, total) in lines {
            layers.observe(*current, *total);
        }
        let Progress { current, total } = layers.progress();
        (current, total)
    }

    #[test]
    fn layers_that_alternate_are_counted_separately() {
        assert_eq!(after(&[(1, 10), (5, 50), (2, 10), (20, 50)]), (22, 60));
    }

    #[test]
    fn a_repeated_line_adds_nothing() {
        assert_eq!(after(&[(10, 10), (10, 10)]), (10, 10));
    }

    #[test]
    fn an_archive_is_longer_than_its_files() {
        assert_eq!(after(&[(8, 10), (12, 10)]), (12, 12));
    }

    #[test]
    fn two_layers_of_one_size_are_two() {
        assert_eq!(
            after(&[(5, 10), (1, 10), (6, 10), (2, 10), (10, 10), (9, 10)]),
            (19, 20)
        );
    }
}

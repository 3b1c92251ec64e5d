//! Byte counts of a push, added up over its layers.
//!
//! The engine names the layer in every line, but bollard drops the name (its `PushImageInfo` has no `id`), so lines
//! are told apart by what is left: a layer has a fixed total, and its count only grows. That is exact unless two
//! layers have the very same size; then the sum may fall a little short. It never runs ahead.

/// Bytes of all layers that the engine has begun to push.
///
/// A classic engine counts a layer before compression, one with the containerd image store after it. `total` grows
/// when another layer begins; layers that the registry has already are in neither number. A layer that the engine
/// sends twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub current: u64,
    pub total: u64,
}

#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    total: u64,
    current: u64,
}

impl Layers {
    /// Takes one line's numbers in.
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
            None => self.0.push(Layer { total, current }),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            current: self.0.iter().map(|layer| layer.current).sum(),
            // The total is the sum of the files' sizes; the archive that is read is a little longer.
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
    fn layers_that_alternate_are_kept_apart() {
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

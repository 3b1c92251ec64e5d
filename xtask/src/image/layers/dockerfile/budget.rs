//! How much the values of one Dockerfile may grow: thirty lines of `ENV A=$A$A` are a gigabyte.

/// What is left, in bytes of text or steps of a pattern.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Budget(4 << 20)
    }

    pub(super) fn spend(&mut self, amount: usize) -> Result<(), String> {
        match self.0.checked_sub(amount) {
            Some(left) => self.0 = left,
            None => return Err("the values of this Dockerfile grow without end".to_owned()),
        }
        Ok(())
    }
}

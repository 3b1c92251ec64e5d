//! Who owns a file that `--chown` or `USER` names.

use super::error::StepError;
use super::recipe::Owner;
use super::tree::{FileTree, NodeKind};

impl Owner {
    /// As `USER` has it: `user`, `user:group`.
    pub(super) fn of_user(user: &str) -> Owner {
        let (user, group) = match user.split_once(':') {
            Some((user, group)) => (user, Some(group.to_owned())),
            None => (user, None),
        };
        Owner {
            user: user.to_owned(),
            group: group.filter(|group| !group.is_empty()),
        }
    }

    /// The user's and the group's numbers; names are those of the image.
    pub(super) fn ids(&self, tree: &FileTree) -> Result<(u64, u64), StepError> {
        let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
        let (user, its_group) = match (self.user.as_str(), number(&self.user)) {
            ("", _) => (0, 0),
            (_, Some(id)) => (id, id),
            (name, None) => {
                let line = line(tree, "etc/passwd", name)?;
                let field = |at: usize| line.get(at).and_then(|text| number(text));
                match (field(2), field(3)) {
                    (Some(user), Some(group)) => (user, group),
                    _ => return Err(broken("etc/passwd", name)),
                }
            }
        };
        let group = match &self.group {
            None => its_group,
            Some(group) => match number(group) {
                Some(id) => id,
                None => {
                    let line = line(tree, "etc/group", group)?;
                    let id = line.get(2).and_then(|text| number(text));
                    id.ok_or_else(|| broken("etc/group", group))?
                }
            },
        };
        Ok((user, group))
    }
}

/// The fields of the line about `name`.
///
/// BuildKit takes a name that is not there for root; that would be a wrong owner in silence.
fn line(tree: &FileTree, path: &str, name: &str) -> Result<Vec<String>, StepError> {
    let missing = || {
        StepError::Instruction(format!(
            "`{name}` is not in the image's /{path}; hint: give its number"
        ))
    };
    let node = tree.get(&tree.follow(path)?).ok_or_else(missing)?;
    let NodeKind::File(content) = &node.kind else {
        return Err(missing());
    };
    let bytes = content.bytes().map_err(|error| StepError::Read {
        name: format!("/{path}"),
        error,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text
        .lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first().is_some_and(|first| first == name));
    found.ok_or_else(missing)
}

fn broken(path: &str, name: &str) -> StepError {
    StepError::Instruction(format!(
        "the image's /{path} has no number for `{name}`; hint: give its number"
    ))
}

//! Resolves names and edges into a [`Plan`]. Pure, before anything runs.

use anyhow::Result;
use serde::Serialize;

use super::target::Target;
use crate::exit::{bad_input, nearest};

/// All targets, with valid edges.
pub struct Graph<'a> {
    pub(super) targets: Vec<Target<'a>>,
}

/// The scheduled targets, in an order that respects every edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub steps: Vec<Step>,
}

/// One scheduled target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub target: String,
    pub about: &'static str,
    /// Named on the command line, rather than pulled in.
    pub requested: bool,
    /// Left out with `--skip`.
    pub skipped: bool,
    /// The scheduled targets that must end first.
    pub waits_for: Vec<String>,
    /// Those of `waits_for` that must not have failed.
    pub needs: Vec<String>,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// An edge to a target that does not exist, or a cycle, named as `a -> b -> a`.
    pub fn new(targets: Vec<Target<'a>>) -> Result<Self> {
        let graph = Graph { targets };
        for target in &graph.targets {
            for name in target.depends_on.iter().chain(&target.after) {
                graph.find(name)?;
            }
        }
        graph.order()?;
        Ok(graph)
    }

    pub fn names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.targets
            .iter()
            .map(|target| (target.name.as_str(), target.about))
    }

    /// Schedules `requested` and their dependencies, leaving out `skip` and the members of groups in it.
    ///
    /// Names may be spelled as in Nuke: case and dashes do not matter.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): an unknown name, with a suggestion.
    pub fn plan(&self, requested: &[String], skip: &[String]) -> Result<Plan> {
        let requested = self.find_all(requested)?;
        let mut skip = self.find_all(skip)?;
        // A group does nothing itself, so skipping it skips its members.
        let mut at = 0;
        while let Some(target) = skip.get(at).map(|&index| &self.targets[index]) {
            if target.is_group {
                skip.extend(self.edges(&target.depends_on));
            }
            at += 1;
        }
        let mut scheduled = vec![false; self.targets.len()];
        let mut open = requested.clone();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut scheduled[index], true) {
                open.extend(self.edges(&self.targets[index].depends_on));
            }
        }
        let names = |indices: Vec<usize>| -> Vec<String> {
            let scheduled = indices.into_iter().filter(|&i| scheduled[i]);
            scheduled.map(|i| self.targets[i].name.clone()).collect()
        };
        let mut order = self.order()?;
        order.retain(|&index| scheduled[index]);
        let steps = order.into_iter().map(|index| {
            let target = &self.targets[index];
            Step {
                target: target.name.clone(),
                about: target.about,
                requested: requested.contains(&index),
                skipped: skip.contains(&index),
                waits_for: names(self.all_edges(target)),
                needs: names(self.edges(&target.depends_on)),
            }
        });
        Ok(Plan {
            steps: steps.collect(),
        })
    }

    /// The sentences of all unmet requirements of the plan.
    pub fn unmet(&self, plan: &Plan) -> Vec<String> {
        let mut unmet: Vec<String> = Vec::new();
        for step in plan.steps.iter().filter(|step| !step.skipped) {
            let mut targets = self.targets.iter();
            let target = targets.find(|target| target.name == step.target);
            for (sentence, condition) in target.iter().flat_map(|target| &target.requires) {
                if !condition() && !unmet.contains(sentence) {
                    unmet.push(sentence.clone());
                }
            }
        }
        unmet
    }

    fn find(&self, name: &str) -> Result<usize> {
        let mut names = self.names().map(|(name, _)| name);
        if let Some(index) = names.position(|known| same_name(known, name)) {
            return Ok(index);
        }
        let names: Vec<&str> = self.names().map(|(name, _)| name).collect();
        let hint = match nearest(&name.to_lowercase(), names.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the targets are {}", names.join(", ")),
        };
        Err(bad_input(format!("unknown target `{name}`\nhint: {hint}")))
    }

    fn find_all(&self, names: &[String]) -> Result<Vec<usize>> {
        names.iter().map(|name| self.find(name)).collect()
    }

    fn edges(&self, names: &[String]) -> Vec<usize> {
        let found = names.iter().filter_map(|name| self.find(name).ok());
        found.collect()
    }

    fn all_edges(&self, target: &Target<'_>) -> Vec<usize> {
        let mut edges = self.edges(&target.depends_on);
        for edge in self.edges(&target.after) {
            if !edges.contains(&edge) {
                edges.push(edge);
            }
        }
        edges
    }

    /// All targets in topological order; ties in the order of declaration.
    fn order(&self) -> Result<Vec<usize>> {
        let mut order = Vec::new();
        let mut path = Vec::new();
        for index in 0..self.targets.len() {
            self.visit(index, &mut path, &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, index: usize, path: &mut Vec<usize>, order: &mut Vec<usize>) -> Result<()> {
        if order.contains(&index) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|&step| step == index) {
            let cycle: Vec<&str> = path[start..]
                .iter()
                .chain([&index])
                .map(|&i| self.targets[i].name.as_str())
                .collect();
            anyhow::bail!("the targets form a cycle: {}", cycle.join(" -> "));
        }
        path.push(index);
        for next in self.all_edges(&self.targets[index]) {
            self.visit(next, path, order)?;
        }
        path.pop();
        order.push(index);
        Ok(())
    }
}

/// Whether two spellings mean the same target: case and dashes do not matter.
pub fn same_name(a: &str, b: &str) -> bool {
    key(a) == key(b)
}

/// The spelling in which names are compared.
fn key(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '-' && *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

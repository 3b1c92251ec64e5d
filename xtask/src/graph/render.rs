//! A [`Plan`] as text, Mermaid or JSON.

use std::fmt::Write as _;

use super::plan::Plan;

impl Plan {
    /// One line for each target, in the order in which they may start.
    pub fn to_text(&self) -> String {
        let widths = self.steps.iter().map(|step| step.target.len());
        let width = widths.max().unwrap_or(0);
        let mut text = String::new();
        for (number, step) in (1..).zip(&self.steps) {
            let (target, about) = (&step.target, step.about);
            let _ = write!(text, "{number:>2}. {target:<width$}  {about}");
            if step.skipped {
                text.push_str(" (left out by --skip)");
            }
            if !step.waits_for.is_empty() {
                let _ = write!(text, " [after {}]", step.waits_for.join(", "));
            }
            text.push('\n');
        }
        text
    }

    /// A flow chart; a dotted arrow only orders.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("graph LR\n");
        for step in &self.steps {
            let _ = writeln!(text, "    {0}[{0}]", step.target);
            for before in &step.waits_for {
                let arrow = match step.needs.contains(before) {
                    true => "-->",
                    false => "-.->",
                };
                let _ = writeln!(text, "    {before} {arrow} {}", step.target);
            }
        }
        text
    }

    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan is plain data");
        text.push('\n');
        text
    }
}

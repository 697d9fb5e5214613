//! What no compiler checks: files, documents, dependencies and settings that belong together.

mod dependencies;
mod documents;
mod files;
mod log_lines;
mod settings;

use crate::manifests::Manifests;
use crate::tree::Tree;

pub(crate) fn check(tree: &Tree, manifests: &Manifests) -> anyhow::Result<Vec<String>> {
    let mut findings = files::check(tree);
    findings.extend(files::check_lints(tree, manifests)?);
    findings.extend(documents::check(tree));
    findings.extend(dependencies::check(tree, manifests));
    findings.extend(settings::check(tree));
    findings.extend(log_lines::check(tree));
    Ok(findings)
}

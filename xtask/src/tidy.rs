//! What no compiler checks: imports and names, and files, documents, dependencies and settings that
//! have to agree.

mod circles;
mod dependencies;
mod documents;
mod english;
mod files;
pub(crate) mod impls;
mod log_lines;
pub(crate) mod names;
mod settings;

use crate::figures;
use crate::manifests::Manifests;
use crate::sources;
use crate::tree::Tree;

pub(crate) fn check(tree: &Tree, manifests: &Manifests) -> anyhow::Result<Vec<String>> {
    let mut findings = files::check(tree);
    findings.extend(files::check_lints(tree, manifests)?);
    findings.extend(documents::check(tree));
    findings.extend(english::check(tree));
    findings.extend(dependencies::check(tree, manifests));
    findings.extend(settings::check(tree));
    findings.extend(log_lines::check(tree));
    findings.extend(figures::check(tree)?);
    let files = sources::parse(tree)?;
    findings.extend(circles::check(&files));
    findings.extend(names::check(&files));
    findings.extend(impls::check(&files));
    Ok(findings)
}

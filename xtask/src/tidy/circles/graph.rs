use std::collections::BTreeSet;

/// Files, as indexes into a list, and their imports of each other.
pub(super) struct FileGraph {
    edges: Vec<Vec<ImportEdge>>,
}

/// The first import of one file by another.
#[derive(Debug)]
pub(super) struct ImportEdge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
    /// As it is written there.
    pub(super) path: String,
}

impl FileGraph {
    pub(super) fn new(files: usize) -> Self {
        Self { edges: (0..files).map(|_| Vec::new()).collect() }
    }

    pub(super) fn add(&mut self, edge: ImportEdge) {
        self.edges[edge.from].push(edge);
    }

    /// Sets of two or more files that all import each other, directly or through others.
    pub(super) fn circles(&self) -> Vec<BTreeSet<usize>> {
        let reached: Vec<_> = (0..self.edges.len()).map(|from| self.reached_from(from)).collect();
        let circles: BTreeSet<BTreeSet<usize>> = (0..self.edges.len())
            .map(|from| {
                reached[from].iter().copied().filter(|to| reached[*to].contains(&from)).collect()
            })
            .collect();
        circles.into_iter().filter(|circle| circle.len() > 1).collect()
    }

    pub(super) fn edges_within(
        &self,
        circle: &BTreeSet<usize>,
    ) -> impl Iterator<Item = &ImportEdge> {
        circle.iter().flat_map(|from| &self.edges[*from]).filter(|edge| circle.contains(&edge.to))
    }

    fn reached_from(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            let new = self.edges[file].iter().map(|edge| edge.to).filter(|to| reached.insert(*to));
            next.extend(new.collect::<Vec<_>>());
        }
        reached
    }
}

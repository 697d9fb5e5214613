use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use contracts::Event;
use tdlib::answers::PrivacyRules as Rules;

use crate::normalize::privacy::PrivacySetting;

/// Distinguishes privacy rules that have changed from rules that have only been read.
///
/// TDLib knows no rules until they are first read; then it sends them in an update as well as in the
/// answer, in either order. After that an update always differs from the last one.
/// Source: TDLib 1.8.61, `PrivacyManager`.
#[derive(Default)]
pub(crate) struct InitialReads(Mutex<HashMap<PrivacySetting, ReadState>>);

enum ReadState {
    /// The first read is under way; updates that arrive meanwhile are kept.
    Reading { kept: Vec<(Rules, Event)>, changing: bool },
    /// What TDLib sent last; `None` while a change is under way before TDLib sent anything.
    Known(Option<Rules>),
}

impl InitialReads {
    /// Records that rules are about to be read. Returns whether that is the first time, in which case
    /// [`Self::end`] must be called.
    pub(crate) fn begin(&self, setting: PrivacySetting) -> bool {
        let mut settings = self.lock();
        let first = !settings.contains_key(&setting);
        if first {
            settings.insert(setting, ReadState::Reading { kept: Vec::new(), changing: false });
        }
        first
    }

    /// Records that rules are about to be changed: updates from now on are changes.
    pub(crate) fn change(&self, setting: PrivacySetting) {
        match self.lock().entry(setting).or_insert(ReadState::Known(None)) {
            ReadState::Reading { changing, .. } => *changing = true,
            ReadState::Known(_) => {}
        }
    }

    /// Records the rules that a change resulted in. Returns whether they must still be published.
    pub(crate) fn must_publish(&self, setting: PrivacySetting, rules: &Rules) -> bool {
        match self.lock().get_mut(&setting) {
            Some(ReadState::Known(known)) if known.as_ref() != Some(rules) => {
                *known = Some(rules.clone());
                true
            }
            _ => false,
        }
    }

    /// Records the result of the first read. Returns the updates that were changes after all.
    pub(crate) fn end(&self, setting: PrivacySetting, answer: Option<&Rules>) -> Vec<Event> {
        let mut settings = self.lock();
        let Some(ReadState::Reading { mut kept, changing }) = settings.remove(&setting) else {
            return Vec::new();
        };
        let known = kept.last().map(|(rules, _)| rules).or(answer).cloned();
        if known.is_some() {
            settings.insert(setting, ReadState::Known(known));
        }
        if !changing && kept.first().is_some_and(|(rules, _)| Some(rules) == answer) {
            kept.remove(0);
        }
        kept.into_iter().map(|(_, event)| event).collect()
    }

    /// Returns the event of an update if it is a change.
    pub(super) fn filter(
        &self,
        setting: PrivacySetting,
        rules: Rules,
        event: Event,
    ) -> Option<Event> {
        match self.lock().entry(setting).or_insert(ReadState::Known(None)) {
            ReadState::Reading { kept, .. } => {
                kept.push((rules, event));
                None
            }
            ReadState::Known(known) => {
                let changed = known.as_ref() != Some(&rules);
                *known = Some(rules);
                changed.then_some(event)
            }
        }
    }

    /// Forgets everything, as TDLib does when the account is opened.
    pub(crate) fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PrivacySetting, ReadState>> {
        runtime::lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use contracts::{AccountId, Body, EventMeta};
    use jiff::Timestamp;
    use tdlib::enums::UserPrivacySettingRule as Rule;

    use super::*;

    struct Case(InitialReads, PrivacySetting);

    impl Case {
        fn new() -> Self {
            Self(InitialReads::default(), PrivacySetting::named("show_bio").unwrap())
        }

        fn update(&self, rules: &Rules) -> bool {
            let event = Event {
                account: AccountId::new(1).unwrap(),
                kind: "x".into(),
                body: Body::Result("{}".into()),
                meta: EventMeta::at(Timestamp::UNIX_EPOCH),
            };
            self.0.filter(self.1, rules.clone(), event).is_some()
        }

        fn begin(&self) -> bool {
            self.0.begin(self.1)
        }

        fn end(&self, answer: Option<&Rules>) -> usize {
            self.0.end(self.1, answer).len()
        }
    }

    fn rules(rules: &[Rule]) -> Rules {
        Rules::new(rules.to_vec())
    }

    #[test]
    fn the_update_of_a_first_read_is_no_change_before_and_after_its_answer() {
        let all = rules(&[Rule::AllowAll]);
        let before = Case::new();
        assert!(before.begin() && !before.begin());
        assert!(!before.update(&all));
        assert_eq!(before.end(Some(&all)), 0);
        let after = Case::new();
        assert!(after.begin());
        assert_eq!(after.end(Some(&all)), 0);
        assert!(!after.update(&all));
        for case in [before, after] {
            assert!(case.update(&rules(&[])) && case.update(&all), "a change, and back");
            assert!(!case.begin());
        }
    }

    #[test]
    fn a_change_during_the_first_read_is_published() {
        let (all, none) = (rules(&[Rule::AllowAll]), rules(&[]));
        let case = Case::new();
        case.begin();
        assert!(!case.update(&all) && !case.update(&none));
        assert_eq!(case.end(Some(&all)), 1);

        let case = Case::new();
        case.begin();
        case.0.change(case.1);
        assert!(!case.update(&all));
        assert_eq!(case.end(Some(&all)), 1, "our own change is published");

        let case = Case::new();
        case.0.change(case.1);
        assert!(!case.begin(), "reading back is not the first to know");
        assert!(case.update(&all));
    }

    #[test]
    fn a_change_is_published_once_whether_or_not_tdlib_sends_an_update() {
        let (all, none) = (rules(&[Rule::AllowAll]), rules(&[]));
        let case = Case::new();
        case.0.change(case.1);
        assert!(case.0.must_publish(case.1, &all), "TDLib's update is not here yet");
        assert!(!case.update(&all));
        assert!(case.update(&none) && !case.0.must_publish(case.1, &none), "it arrived first");
        let case = Case::new();
        case.0.change(case.1);
        assert!(case.0.must_publish(case.1, &none), "TDLib sends no update");
    }

    #[test]
    fn a_failed_read_swallows_nothing() {
        let case = Case::new();
        case.begin();
        assert!(!case.update(&rules(&[Rule::AllowAll])));
        assert_eq!(case.end(None), 1);
        let case = Case::new();
        case.begin();
        assert_eq!(case.end(None), 0);
        assert!(case.begin(), "the next one is the first again");
    }

    #[test]
    fn without_a_read_every_update_is_a_change() {
        let case = Case::new();
        assert!(case.update(&rules(&[Rule::AllowAll])));
        assert!(case.update(&rules(&[])));
    }
}

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::TdVariant;
use tdlib::enums::UserPrivacySettingRule as Rule;
use tdlib::types::{
    UserPrivacySettingRuleAllowChatMembers as AllowChatMembers,
    UserPrivacySettingRuleAllowUsers as AllowUsers,
    UserPrivacySettingRuleRestrictChatMembers as RestrictChatMembers,
    UserPrivacySettingRuleRestrictUsers as RestrictUsers,
};

/// Who is allowed unless another rule says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Mode")]
pub(crate) enum PrivacyMode {
    /// Everybody.
    All,
    /// The account's contacts.
    Contacts,
    /// Nobody.
    #[default]
    Nobody,
}

impl PrivacyMode {
    /// Reads its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::All),
            "contacts" => Some(Self::Contacts),
            "nobody" => Some(Self::Nobody),
            _ => None,
        }
    }
}

/// Rules in the form in which most people think of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the contract's own fields")]
#[schemars(rename = "Summary")]
pub(crate) struct RulesSummary {
    /// Mode of the first rule for all, for contacts or against all.
    pub(crate) mode: PrivacyMode,
    /// Users that are always allowed.
    pub(crate) allow_user_ids: Vec<i64>,
    /// Users that are never allowed.
    pub(crate) restrict_user_ids: Vec<i64>,
    /// Groups whose members are allowed.
    pub(crate) allow_chat_ids: Vec<i64>,
    /// Groups whose members are not allowed.
    pub(crate) restrict_chat_ids: Vec<i64>,
    /// Whether users with Telegram Premium are allowed.
    pub(crate) allow_premium_users: bool,
    /// Whether bots are allowed.
    pub(crate) allow_bots: bool,
    /// Whether bots are not allowed.
    pub(crate) restrict_bots: bool,
    /// Whether contacts are not allowed.
    pub(crate) restrict_contacts: bool,
    /// Whether setting this summary results in exactly these rules; if not, send the rules to set
    /// them again.
    pub(crate) canonical: bool,
}

/// Somebody is both allowed and restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleConflict {
    /// A user.
    User(i64),
    /// A chat.
    Chat(i64),
}

impl RulesSummary {
    /// What rules come to; those of unknown types are left out.
    pub(crate) fn of(rules: &[TdVariant<Rule>]) -> Self {
        let known: Vec<_> = rules.iter().filter_map(TdVariant::known).cloned().collect();
        let summary = Self::of_known(&known);
        Self { canonical: summary.canonical && known.len() == rules.len(), ..summary }
    }

    fn of_known(rules: &[Rule]) -> Self {
        let mut summary = Self::default();
        let mut mode = None;
        for rule in rules {
            match rule {
                Rule::AllowAll => mode = mode.or(Some(PrivacyMode::All)),
                Rule::AllowContacts => mode = mode.or(Some(PrivacyMode::Contacts)),
                Rule::RestrictAll => mode = mode.or(Some(PrivacyMode::Nobody)),
                Rule::AllowUsers(rule) => merge(&mut summary.allow_user_ids, &rule.user_ids),
                Rule::RestrictUsers(rule) => merge(&mut summary.restrict_user_ids, &rule.user_ids),
                Rule::AllowChatMembers(rule) => merge(&mut summary.allow_chat_ids, &rule.chat_ids),
                Rule::RestrictChatMembers(rule) => {
                    merge(&mut summary.restrict_chat_ids, &rule.chat_ids);
                }
                Rule::AllowPremiumUsers => summary.allow_premium_users = true,
                Rule::AllowBots => summary.allow_bots = true,
                Rule::RestrictBots => summary.restrict_bots = true,
                Rule::RestrictContacts => summary.restrict_contacts = true,
            }
        }
        summary.mode = mode.unwrap_or_default();
        summary.canonical = summary.rules().is_ok_and(|built| same(&built, rules));
        summary
    }

    /// The rules that it represents.
    pub(crate) fn rules(&self) -> Result<Vec<Rule>, RuleConflict> {
        if let Some(id) = first_common(&self.allow_user_ids, &self.restrict_user_ids) {
            return Err(RuleConflict::User(id));
        }
        if let Some(id) = first_common(&self.allow_chat_ids, &self.restrict_chat_ids) {
            return Err(RuleConflict::Chat(id));
        }
        let ids = |ids: &[i64]| (!ids.is_empty()).then(|| distinct(ids));
        let rules = [
            ids(&self.allow_user_ids).map(|user_ids| Rule::AllowUsers(AllowUsers { user_ids })),
            ids(&self.restrict_user_ids)
                .map(|user_ids| Rule::RestrictUsers(RestrictUsers { user_ids })),
            ids(&self.allow_chat_ids)
                .map(|chat_ids| Rule::AllowChatMembers(AllowChatMembers { chat_ids })),
            ids(&self.restrict_chat_ids)
                .map(|chat_ids| Rule::RestrictChatMembers(RestrictChatMembers { chat_ids })),
            self.allow_premium_users.then_some(Rule::AllowPremiumUsers),
            self.allow_bots.then_some(Rule::AllowBots),
            self.restrict_bots.then_some(Rule::RestrictBots),
            self.restrict_contacts.then_some(Rule::RestrictContacts),
            Some(match self.mode {
                PrivacyMode::All => Rule::AllowAll,
                PrivacyMode::Contacts => Rule::AllowContacts,
                PrivacyMode::Nobody => Rule::RestrictAll,
            }),
        ];
        Ok(rules.into_iter().flatten().collect())
    }
}

/// Whether two lists of rules are the same, but for a final `RestrictAll` and the order of ids.
fn same(left: &[Rule], right: &[Rule]) -> bool {
    let [left, right] =
        [left, right].map(|rules| rules.strip_suffix(&[Rule::RestrictAll]).unwrap_or(rules));
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_rule(left, right))
}

fn same_rule(left: &Rule, right: &Rule) -> bool {
    let set = |ids: &[i64]| ids.iter().copied().collect::<BTreeSet<_>>();
    match (left, right) {
        (Rule::AllowUsers(left), Rule::AllowUsers(right)) => {
            set(&left.user_ids) == set(&right.user_ids)
        }
        (Rule::RestrictUsers(left), Rule::RestrictUsers(right)) => {
            set(&left.user_ids) == set(&right.user_ids)
        }
        (Rule::AllowChatMembers(left), Rule::AllowChatMembers(right)) => {
            set(&left.chat_ids) == set(&right.chat_ids)
        }
        (Rule::RestrictChatMembers(left), Rule::RestrictChatMembers(right)) => {
            set(&left.chat_ids) == set(&right.chat_ids)
        }
        (left, right) => left == right,
    }
}

/// Adds the ids that are not there yet, in their order.
fn merge(ids: &mut Vec<i64>, more: &[i64]) {
    let mut seen: BTreeSet<_> = ids.iter().copied().collect();
    ids.extend(more.iter().filter(|id| seen.insert(**id)));
}

fn distinct(ids: &[i64]) -> Vec<i64> {
    let mut distinct = Vec::new();
    merge(&mut distinct, ids);
    distinct
}

fn first_common(left: &[i64], right: &[i64]) -> Option<i64> {
    let right: BTreeSet<_> = right.iter().collect();
    left.iter().copied().find(|id| right.contains(id))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<i64>> {
        vec(-3..4_i64, 0..4)
    }

    fn rule() -> impl Strategy<Value = Rule> {
        prop_oneof![
            Just(Rule::AllowAll),
            Just(Rule::AllowContacts),
            Just(Rule::RestrictAll),
            Just(Rule::AllowPremiumUsers),
            Just(Rule::AllowBots),
            Just(Rule::RestrictBots),
            Just(Rule::RestrictContacts),
            ids().prop_map(|user_ids| Rule::AllowUsers(AllowUsers { user_ids })),
            ids().prop_map(|user_ids| Rule::RestrictUsers(RestrictUsers { user_ids })),
            ids().prop_map(|chat_ids| Rule::AllowChatMembers(AllowChatMembers { chat_ids })),
            ids().prop_map(|chat_ids| Rule::RestrictChatMembers(RestrictChatMembers { chat_ids })),
        ]
    }

    fn summary() -> impl Strategy<Value = RulesSummary> {
        let mode = prop_oneof![
            Just(PrivacyMode::All),
            Just(PrivacyMode::Contacts),
            Just(PrivacyMode::Nobody)
        ];
        let lists = (ids(), ids(), ids(), ids());
        (mode, lists, any::<[bool; 4]>()).prop_map(|(mode, lists, flags)| RulesSummary {
            mode,
            allow_user_ids: lists.0,
            restrict_user_ids: lists.1,
            allow_chat_ids: lists.2,
            restrict_chat_ids: lists.3,
            allow_premium_users: flags[0],
            allow_bots: flags[1],
            restrict_bots: flags[2],
            restrict_contacts: flags[3],
            canonical: false,
        })
    }

    proptest! {
        #[test]
        fn setting_a_canonical_summary_results_in_the_same_rules(rules in vec(rule(), 0..7)) {
            let summary = RulesSummary::of_known(&rules);
            if summary.canonical {
                let built = summary.rules().unwrap();
                prop_assert!(same(&built, &rules));
                prop_assert_eq!(RulesSummary::of_known(&built), summary);
            }
        }

        #[test]
        fn what_the_mode_form_sets_is_canonical(given in summary()) {
            if let Ok(mut rules) = given.rules() {
                if rules.last() == Some(&Rule::RestrictAll) {
                    // TDLib leaves it out.
                    rules.pop();
                }
                let read = RulesSummary::of_known(&rules);
                prop_assert!(read.canonical);
                prop_assert_eq!(read.mode, given.mode);
                prop_assert_eq!(read.allow_user_ids, distinct(&given.allow_user_ids));
                prop_assert_eq!(read.restrict_chat_ids, distinct(&given.restrict_chat_ids));
                prop_assert_eq!(read.restrict_contacts, given.restrict_contacts);
            }
        }
    }

    #[test]
    fn an_order_of_ones_own_is_not_canonical() {
        let users = |user_ids| Rule::AllowUsers(AllowUsers { user_ids });
        let canonical = |rules: &[Rule]| RulesSummary::of_known(rules).canonical;
        assert!(canonical(&[]));
        assert!(canonical(&[users(vec![2, 1]), Rule::AllowContacts]));
        assert!(!canonical(&[Rule::AllowContacts, users(vec![1])]));
        assert!(!canonical(&[users(vec![1]), users(vec![2])]));
        assert!(!canonical(&[users(vec![])]));
        assert!(!canonical(&[Rule::AllowAll, Rule::RestrictAll, Rule::RestrictAll]));
        let both = [
            users(vec![1]),
            Rule::RestrictUsers(RestrictUsers { user_ids: vec![1] }),
            Rule::AllowAll,
        ];
        assert!(!canonical(&both), "the mode form refuses it");
    }
}

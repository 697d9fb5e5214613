use grammers_tl_types::{enums, functions, types};

use super::privacy::MAX_MESSAGE_PRICE;
use super::{CallContext, MethodEntry, MethodHandler, RpcError};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::help::GetAppConfig>(),
    MethodEntry::of::<functions::help::GetConfig>(),
    MethodEntry::of::<functions::help::GetNearestDc>(),
];

/// Seconds from freezing an account to its deletion.
const FREEZE: i32 = 30 * 86_400;
/// Lifetime of a configuration in seconds.
const CONFIG_LIFE: i32 = 3600;
/// The data centres. A client reaches all of them through its proxy, so it never connects to these
/// addresses, which are reserved for documentation.
const DATA_CENTRES: [(i32, &str); 5] =
    [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.3"), (4, "192.0.2.4"), (5, "192.0.2.5")];

impl MethodHandler for functions::help::GetConfig {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(enums::Config::Config(config(ctx)))
    }
}

impl MethodHandler for functions::help::GetNearestDc {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let this_dc = ctx.caller.data_centre();
        let nearest = types::NearestDc { country: "IS".to_owned(), this_dc, nearest_dc: this_dc };
        Ok(enums::NearestDc::Dc(nearest))
    }
}

impl MethodHandler for functions::help::GetAppConfig {
    const NEEDS_LOGIN: bool = false;

    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let account = ctx.account().ok();
        let frozen_since = account.as_ref().and_then(|account| account.frozen_since);
        let may_restrict = account.is_some_and(|account| account.may_restrict_new_chats);
        // The hash must change with the configuration: clients keep the one they have otherwise.
        let hash = 1 + i32::from(may_restrict) + 2 * i32::from(frozen_since.is_some());
        if self.hash == hash {
            return Ok(enums::help::AppConfig::NotModified);
        }
        let yes = || enums::Jsonvalue::JsonBool(types::JsonBool { value: true });
        #[expect(clippy::cast_precision_loss, reason = "a price is far below 2^52")]
        let price = types::JsonNumber { value: MAX_MESSAGE_PRICE as f64 };
        let permissions = [
            ("new_noncontact_peers_require_premium_without_ownpremium", yes()),
            ("stars_paid_messages_available", yes()),
            ("stars_paid_message_amount_max", enums::Jsonvalue::JsonNumber(price)),
        ];
        let permissions = permissions.into_iter().filter(|_| may_restrict);
        let entries = permissions.chain(frozen_since.into_iter().flat_map(frozen));
        let value = entries.map(|(key, value)| {
            enums::JsonobjectValue::JsonObjectValue(types::JsonObjectValue {
                key: key.to_owned(),
                value,
            })
        });
        let config = types::JsonObject { value: value.collect() };
        let config = enums::Jsonvalue::JsonObject(config);
        Ok(enums::help::AppConfig::Config(types::help::AppConfig { hash, config }))
    }
}

/// Additional configuration of a frozen account.
fn frozen(since: i32) -> [(&'static str, enums::Jsonvalue); 3] {
    let number =
        |value: i32| enums::Jsonvalue::JsonNumber(types::JsonNumber { value: f64::from(value) });
    let appeal = types::JsonString { value: "https://t.me/spambot".to_owned() };
    [
        ("freeze_since_date", number(since)),
        ("freeze_until_date", number(since.saturating_add(FREEZE))),
        ("freeze_appeal_url", enums::Jsonvalue::JsonString(appeal)),
    ]
}

fn data_centre((id, address): (i32, &str)) -> enums::DcOption {
    enums::DcOption::Option(types::DcOption {
        ipv6: false,
        media_only: false,
        tcpo_only: false,
        cdn: false,
        r#static: false,
        this_port_only: false,
        id,
        ip_address: address.to_owned(),
        port: 443,
        secret: None,
    })
}

fn config(ctx: &CallContext<'_>) -> types::Config {
    types::Config {
        default_p2p_contacts: false,
        preload_featured_stickers: false,
        revoke_pm_inbox: false,
        blocked_mode: false,
        force_try_ipv6: false,
        date: ctx.now,
        expires: ctx.now.saturating_add(CONFIG_LIFE),
        test_mode: ctx.caller.is_test(),
        this_dc: ctx.caller.data_centre(),
        dc_options: DATA_CENTRES.map(data_centre).to_vec(),
        dc_txt_domain_name: "localhost".to_owned(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5_000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1_500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: i32::MAX,
        revoke_pm_time_limit: i32::MAX,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        tmp_sessions: None,
        call_receive_timeout_ms: 20_000,
        call_ring_timeout_ms: 90_000,
        call_connect_timeout_ms: 30_000,
        call_packet_timeout_ms: 10_000,
        me_url_prefix: "https://t.me/".to_owned(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: 4096,
        webfile_dc_id: 4,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    }
}

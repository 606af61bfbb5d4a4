//! What the models of `OpenHands` were used for: the same shape in both versions, a list with one entry for each request.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::node::Node;
use crate::source::scribe::Scribe;
use crate::source::session::Usage;

/// Records each request of one model, as `of` tells them apart; `false` if it does not say what it must. A request has its
/// cost where there is one cost for each request; otherwise the sum of all costs stands with the first.
pub(super) fn record(
    metrics: Node<'_>,
    of: &[&str],
    (model, zone): (Option<&str>, Zone),
    scribe: &mut Scribe<'_>,
) -> bool {
    let (entries, costs) = (metrics.get("token_usages").elements(), metrics.get("costs").elements());
    let all = metrics.get("accumulated_cost").number();
    let mut is_whole =
        all.is_some() && ["token_usages", "costs"].iter().all(|name| metrics.get(name).is_array());
    let is_paired = entries.len() == costs.len();
    for (at, entry) in entries.iter().enumerate() {
        let count = |name| entry.get(name).count();
        let cost = costs.get(at).filter(|_| is_paired);
        let stated = match cost {
            Some(cost) => cost.get("cost").number(),
            None => all.filter(|all| at == 0 && *all > 0.0),
        };
        let (prompt, read, write) =
            (count("prompt_tokens"), count("cache_read_tokens"), count("cache_write_tokens"));
        let cached = read.unwrap_or(0).saturating_add(write.unwrap_or(0));
        let usage = Usage {
            model: entry.get("model").word().filter(|model| *model != "default").or(model),
            message: entry.get("response_id").word(),
            input_tokens: prompt.map(|prompt| prompt.saturating_sub(cached)),
            output_tokens: count("completion_tokens"),
            cache_read_tokens: read,
            cache_write_tokens: write,
            cost_usd: stated,
            quality: "measured",
        };
        is_whole &= [prompt, usage.output_tokens, read, write].iter().all(Option::is_some)
            && usage.message.is_some()
            && cost.is_none_or(|cost| cost.get("cost").is_there() && cost.get("timestamp").is_there());
        let ts = cost.and_then(|cost| cost.get("timestamp").instant(zone)).unwrap_or(scribe.ts());
        let native: Vec<_> = ["usage"].iter().chain(of).copied().collect();
        scribe.say_of_at(ts, &native, &at.to_string(), usage.recorded());
    }
    is_whole
}

/// The time of an event.
pub(super) fn time(event: Node<'_>, zone: Zone) -> Option<Timestamp> {
    event.get("timestamp").instant(zone)
}

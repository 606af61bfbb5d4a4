//! Items: how newer versions tell what was done, one event for each thing that is complete (`item_completed`). Where the
//! model calls tools from a script, the calls are told in this way only.

use crate::source::codex::call::{Ending, PATCH, SEARCH, mcp_error, mcp_tool, patch_error};
use crate::source::codex::failure::stated;
use crate::source::codex::kinds::ITEMS;
use crate::source::codex::record::{Fields, Fit};
use crate::source::codex::rollout::{Context, Rollout};
use crate::source::scribe::Scribe;

impl Rollout {
    /// Takes an item; messages are taken before.
    pub(super) fn item_completed(
        &mut self,
        context: &Context,
        item: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(kind) = item.word("type") else { return Fit::Bad };
        let has_id = item.word("id");
        let id = has_id.unwrap_or_default();
        let is_call = match kind.to_lowercase().as_str() {
            "contextcompaction" => return self.compacted(context, "context_compacted", scribe),
            "commandexecution" => {
                return has_id.map_or(Fit::Bad, |id| self.command_item(context, id, item, scribe));
            }
            "filechange" => {
                let error = patch_error(item.word("status"), None, item);
                self.ended(context, Ending { id, tool: PATCH, error, ..Ending::default() }, scribe)
            }
            "mcptoolcall" => {
                let result = item.object("result");
                let error = item.object("error").text("message").map(|text| stated(&text));
                let error = error.or_else(|| mcp_error(&result)).or_else(|| failed(item));
                let tool = mcp_tool(item);
                self.ended(context, Ending { id, tool: &tool, error, ..Ending::default() }, scribe)
            }
            "dynamictoolcall" => {
                let error = item.text("error").map(|text| stated(&text)).or_else(|| failed(item));
                let tool = item.word("tool").unwrap_or_default();
                self.ended(context, Ending { id, tool, error, ..Ending::default() }, scribe)
            }
            "websearch" => {
                self.searches += u64::from(has_id.is_some());
                self.ended(context, Ending { id, tool: SEARCH, ..Ending::default() }, scribe)
            }
            "imagegeneration" => {
                let error = failed(item);
                self.ended(
                    context,
                    Ending { id, tool: "image_generation", error, ..Ending::default() },
                    scribe,
                )
            }
            // The rest is no call, or one whose call and answer stand in the conversation.
            kind => return Fit::if_known(kind, &ITEMS),
        };
        Fit::if_there(is_call)
    }

    /// Ends a call, if its item names it.
    fn ended(&mut self, context: &Context, ending: Ending<'_>, scribe: &mut Scribe<'_>) -> bool {
        let has_id = !ending.id.is_empty();
        if has_id {
            self.end(context, ending, scribe);
        }
        has_id
    }
}

fn failed(item: &Fields<'_>) -> Option<crate::event::error::ErrorDetail<'static>> {
    let is_failed = item.word("status") == Some("failed") || item.flag("success") == Some(false);
    is_failed.then(|| stated("failed"))
}

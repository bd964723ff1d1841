// SPDX-License-Identifier: Apache-2.0
// States in files: GET /states, POST /states/NAME/save and /states/NAME/load, DELETE /states/NAME.
#include <fmt/format.h>

#include <filesystem>

#include "api.h"
#include "chat_request.h"
#include "generation_job.h"
#include "quamba2/state_file.h"
#include "routes.h"
#include "state_dir.h"

namespace quamba2::server {
namespace {

constexpr std::string_view kPlace = "/states/";
// Among the notes of a state that was read in such pieces from the beginning: a service with this chunk reads the same bits.
constexpr const char* kChunkNote = "chunk";

OrderedJson state_json(const std::string& name, const PausedText& paused) {
  OrderedJson out;
  out["id"] = name;
  out["object"] = "state";
  out["tokens"] = paused.read;
  out["bytes"] = paused.state->size();
  return out;
}

// Reads a prompt or a conversation, from a kept state on where there is one, and writes the state behind it.
class SaveJob : public GenerationJob {
 public:
  SaveJob(Api& api, const HttpRequest& request, std::string name, const std::shared_ptr<Responder>& responder)
      : GenerationJob(api, "state-" + request.id, responder, false),
        name_(std::move(name)),
        path_(state_path(api.state_dir, name_, false)) {}

  void start(const std::string& body) {
    GenerationRequest request;
    request.prompt = JsonFields(body).has("messages") ? conversation(body) : prompt(body);
    request.cache_end = !exact_;
    request.sampling.max_tokens = 0;
    request.return_paused = true;
    if (static_cast<int64_t>(request.prompt.size()) > api_.limits.max_length)
      throw ApiError(400, fmt::format("the text has more than {} tokens", api_.limits.max_length));
    std::vector<GenerationRequest> requests;
    requests.push_back(std::move(request));
    submit(std::move(requests));
  }

 private:
  std::vector<int32_t> conversation(const std::string& body) {
    ChatRequest request = parse_chat(body, api_.limits);
    check_model(api_, request.model);
    if (!api_.chat) throw ApiError(400, "chat is not possible: " + api_.no_chat, "messages", "no_chat_template");
    const Json messages = Json::parse(request.messages);
    if (messages.back()["role"] == "assistant") request.rendering.add_generation_prompt = false;
    std::vector<int32_t> ids = tokenizer().encode(api_.chat->render_json(request.messages, request.rendering));
    if (ids.empty()) bad_field("messages", "the model's template makes no text of them");
    return ids;
  }

  // Up to the last place where every prompt is cut: from there on all that begin so go on with the same bits.
  std::vector<int32_t> prompt(const std::string& body) {
    const CompletionRequest request = parse_completion(body, api_.limits);
    check_model(api_, request.model);
    if (request.prompts.size() != 1) bad_field("prompt", "a state is of one text");
    std::vector<int32_t> ids;
    if (const auto* text = std::get_if<std::string>(&request.prompts[0])) {
      ids = api_.service.engine().encode_prompt(*text, request.add_special_tokens);
    } else {
      ids = std::get<std::vector<int32_t>>(request.prompts[0]);
    }
    const auto chunk = static_cast<size_t>(api_.service.chunk());
    if (ids.size() < chunk)
      bad_field("prompt", fmt::format("it has {} tokens; states are kept every {} (--chunk)", ids.size(), chunk));
    ids.resize(ids.size() / chunk * chunk);
    exact_ = true;
    return ids;
  }

  void take(size_t, GenerationUpdate& update) override {
    if (!update.paused) return;
    paused_ = *update.paused;
    cached_ = update.usage.cached_tokens;
  }

  void finish() override {
    api_.later([self = std::static_pointer_cast<SaveJob>(shared_from_this())] {
      answer_errors(self->responder_, [&] { self->write(); });
    });
  }

  void write() {
    api_.service.engine().sign(&paused_);
    if (exact_) paused_.notes[kChunkNote] = std::to_string(api_.service.chunk());
    save_state_file(paused_, path_);
    OrderedJson out = state_json(name_, paused_);
    out["cached_tokens"] = cached_;
    responder_->send({200, dump(out)});
  }

  const std::string name_, path_;
  bool exact_ = false;
  PausedText paused_;
  int64_t cached_ = 0;
};

void load_state(Api& api, const std::string& name, const std::shared_ptr<Responder>& responder) {
  const std::string path = state_path(api.state_dir, name, true);
  PausedText paused;
  try {
    paused = load_state_file(path);
  } catch (const Error& e) {
    throw ApiError(400, e.what(), "name", "bad_state");
  }
  const auto note = paused.notes.find(kChunkNote);
  const bool exact = note != paused.notes.end() && note->second == std::to_string(api.service.chunk());
  if (!api.service.keep(paused, exact))
    throw ApiError(400, "the state does not fit in --prefix-cache", "name", "no_room");
  responder->send({200, dump(state_json(name, paused))});
}

}  // namespace

void get_states(Api& api, const HttpRequest&, const std::shared_ptr<Responder>& responder) {
  OrderedJson out;
  out["object"] = "list";
  out["data"] = OrderedJson::array();
  for (const StateEntry& entry : list_states(api.state_dir))
    out["data"].push_back({{"id", entry.name}, {"object", "state"}, {"file_bytes", entry.bytes}});
  responder->send({200, dump(out)});
}

void post_state(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  const std::string rest = request.path.substr(kPlace.size());
  const size_t slash = rest.rfind('/');
  const std::string name = rest.substr(0, slash), action = slash == std::string::npos ? "" : rest.substr(slash + 1);
  if (action == "load") return load_state(api, name, responder);
  if (action != "save")
    throw ApiError(404, "POST takes /states/NAME/save and /states/NAME/load", "", "route_not_found");
  std::make_shared<SaveJob>(api, request, name, responder)->start(request.body);
}

void delete_state(Api& api, const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
  const std::string name = request.path.substr(kPlace.size());
  std::error_code failure;
  std::filesystem::remove(state_path(api.state_dir, name, true), failure);
  if (failure) throw ApiError(500, "the state cannot be removed: " + failure.message());
  responder->send({200, dump({{"id", name}, {"object", "state"}, {"deleted", true}})});
}

}  // namespace quamba2::server

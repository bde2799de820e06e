// Tiny files in the raw formats that tasks are made from.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "elms/offline/tasks.hpp"
#include "support.hpp"

namespace elms_test {

inline std::string write_text_file(const std::string& name, const std::string& text) {
  const std::string path = scratch_path(name);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  return path;
}

inline elms::offline::TaskOptions task_options(elms::offline::TaskSource source, const std::string& input) {
  elms::offline::TaskOptions options;
  options.source = source;
  options.inputs = {input};
  return options;
}

/// n requests for each of three CLINC150 intents, all of them different.
inline std::string clinc_json(int n, const std::string& part = "train") {
  std::string text = "{\"" + part + "\": [";
  for (int i = 0; i < n; ++i) {
    const std::string number = std::to_string(i);
    text += "[\"will it rain in town " + number + "\", \"weather\"], ";
    text += "[\"move " + number + " dollars to savings\", \"transfer\"], ";
    text += "[\"what is the tax for year " + number + "\", \"taxes\"], ";
  }
  return text + "[\"who won the war\", \"oos\"]]}";
}

inline const char* snips_json() {
  return R"({"GetWeather": [
    {"data": [{"text": "Will it rain in "}, {"text": "San Jose", "entity": "city"}, {"text": " "},
              {"text": "next Monday", "entity": "timeRange"}, {"text": "?"}]},
    {"data": [{"text": "Forecast for "}, {"text": "France", "entity": "country"}]}],
  "PlayMusic": [
    {"data": [{"text": "play the album "}, {"text": "Blue Train", "entity": "album"}, {"text": " by "},
              {"text": "John Coltrane", "entity": "artist"}]}]})";
}

inline const char* sgd_schema() {
  return R"([
  {"service_name": "Banks_2", "description": "Bank", "slots": [], "intents": [
    {"name": "CheckBalance", "description": "Get the balance of an account", "required_slots": ["account_type"],
     "optional_slots": {}},
    {"name": "TransferMoney", "description": "Transfer money to another user", "required_slots": ["amount", "recipient_name"],
     "optional_slots": {"day": "today"}}]},
  {"service_name": "Banks_1", "description": "Other bank", "slots": [], "intents": [
    {"name": "SendFunds", "description": "Send funds to somebody", "required_slots": [], "optional_slots": {}}]},
  {"service_name": "Weather_1", "description": "Weather", "slots": [], "intents": [
    {"name": "GetWeather", "description": "Get the weather of a place", "required_slots": ["city"], "optional_slots": {}}]},
  {"service_name": "Flights_3", "description": "Planes", "slots": [], "intents": [
    {"name": "SearchFlight", "description": "Search for flights", "required_slots": ["city"], "optional_slots": {}}]}])";
}

inline const char* sgd_dialogues() {
  return R"([{"dialogue_id": "1", "services": ["Banks_2"], "turns": [
    {"speaker": "USER", "utterance": "How much is in my savings account?", "frames": [{"service": "Banks_2",
      "actions": [{"act": "INFORM_INTENT"}],
      "state": {"active_intent": "CheckBalance", "slot_values": {"account_type": ["savings"]}}}]},
    {"speaker": "SYSTEM", "utterance": "It is 5 dollars. Send some?", "frames": [{"service": "Banks_2"}]},
    {"speaker": "USER", "utterance": "Is that all?", "frames": [{"service": "Banks_2",
      "state": {"active_intent": "CheckBalance", "slot_values": {"account_type": ["savings"]}}}]},
    {"speaker": "USER", "utterance": "Send 50 dollars to Anna Lee", "frames": [{"service": "Banks_2",
      "state": {"active_intent": "TransferMoney",
                "slot_values": {"amount": ["50 dollars"], "recipient_name": ["anna lee"], "day": ["today"]}}}]}]},
  {"dialogue_id": "2", "services": ["Weather_1", "Flights_3"], "turns": [
    {"speaker": "USER", "utterance": "Yes please", "frames": [{"service": "Weather_1",
      "actions": [{"act": "AFFIRM_INTENT"}], "state": {"active_intent": "GetWeather", "slot_values": {}}}]},
    {"speaker": "USER", "utterance": "Find a plane to Rome", "frames": [{"service": "Flights_3",
      "state": {"active_intent": "SearchFlight", "slot_values": {"city": ["Rome"]}}}]}]}])";
}

}  // namespace elms_test

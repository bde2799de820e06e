// The seven intents of SNIPS, and functions of a phone to list beside them.
#include "offline/tasks/descriptions.hpp"

namespace elms::inline v0::offline::tasks {

std::vector<KnownFunction> snips_functions() {
  return {
      {"GetWeather", "assistant",
       {{"tell the forecast or conditions for a place and time", "look up rain, temperature and wind somewhere"}}},
      {"BookRestaurant", "assistant",
       {{"reserve a table at a place to eat", "make a booking for a meal for some people"}}},
      {"PlayMusic", "assistant", {{"start songs, an album or an artist", "put on a tune from a music service"}}},
      {"AddToPlaylist", "assistant",
       {{"put a track, album or artist on one of the user's lists", "save a song into a list of songs"}}},
      {"RateBook", "assistant",
       {{"give a novel, essay or saga stars or points", "record how many points the user gives a text"}}},
      {"SearchScreeningEvent", "assistant", {{"find film showings at cinemas", "look up movie times and theatres"}}},
      {"SearchCreativeWork", "assistant",
       {{"find a show, book, song, game or picture by title", "look up a named work such as a saga or a TV series"}}},
  };
}

std::vector<KnownFunction> assistant_functions() {
  return {
      {"set_alarm", "phone", {{"ring at an hour", "make a wake-up sound in the morning"}}},
      {"start_timer", "phone", {{"count down minutes and then beep", "run a countdown"}}},
      {"send_message", "phone", {{"write an SMS to a contact", "text somebody"}}},
      {"make_call", "phone", {{"dial a person or a number", "ring somebody up"}}},
      {"translate_text", "phone", {{"say a phrase in another language", "give the foreign words for a sentence"}}},
      {"get_directions", "phone", {{"show the way to an address", "guide the user along a route"}}},
      {"set_brightness", "phone", {{"make the screen lighter or darker", "change how bright the display is"}}},
      {"take_photo", "phone", {{"take a picture with the camera", "capture an image of what is in front"}}},
      {"send_email", "phone", {{"mail a letter to an address", "write electronic mail to someone"}}},
      {"add_calendar_event", "phone", {{"note an appointment on a date", "put a meeting into the schedule"}}},
      {"control_lights", "phone", {{"switch lamps at home on or off", "dim or colour the bulbs"}}},
      {"set_thermostat", "phone", {{"make the house warmer or cooler", "change the heating"}}},
      {"order_taxi", "phone", {{"call a cab to pick the user up", "get a driver to some place"}}},
      {"convert_units", "phone", {{"turn miles into kilometres and the like", "change one measure into another"}}},
      {"calculate", "phone", {{"work out a sum", "do arithmetic"}}},
      {"get_stock_price", "phone", {{"tell what a share costs", "look up a company on the stock market"}}},
      {"lock_door", "phone", {{"close or open the smart lock", "secure the entrance of the house"}}},
      {"define_word", "phone", {{"explain what a term means", "look a word up in the dictionary"}}},
      {"find_phone", "phone", {{"make a misplaced mobile ring", "help to find the handset"}}},
      {"toggle_bluetooth", "phone", {{"pair or unpair a wireless device", "switch short range radio on or off"}}},
      {"transfer_money", "phone", {{"send funds to another account", "pay a person from the bank account"}}},
      {"book_flight", "phone", {{"buy a plane ticket", "find a flight between two cities"}}},
      {"tell_joke", "phone", {{"say something funny", "make the user laugh"}}},
      {"start_workout", "phone", {{"begin to track a run or exercise", "record sports activity"}}},
  };
}

}  // namespace elms::inline v0::offline::tasks

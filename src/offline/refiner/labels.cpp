#include "offline/refiner/score_data.hpp"

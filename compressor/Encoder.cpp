#include "compressor/Encoder.h"

#include "EncoderFamilies.h" // generated: every make<Family>Encoder
#include "runtime/format/Error.h"

#include <cmath>
#include <map>

using namespace qlr;

const Encoder &Encoder::get(const Codec &codec) {
  static const std::map<std::string, std::unique_ptr<Encoder>> encoders = [] {
    std::map<std::string, std::unique_ptr<Encoder>> made;
    for (const Codec *known : Codec::all())
      for (MakeEncoder make : encoderFamilies)
        if (std::unique_ptr<Encoder> encoder = make(*known))
          made.emplace(known->name(), std::move(encoder));
    return made;
  }();
  auto found = encoders.find(codec.name());
  if (found == encoders.end())
    throw Error("codec \"" + codec.name() + "\" has no tile encoder");
  return *found->second;
}

double qlr::rootMeanSquare(const float *values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += double(values[i]) * values[i];
  return n ? std::sqrt(sum / double(n)) : 0;
}

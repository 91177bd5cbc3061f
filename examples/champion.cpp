// What does the champion make of a blank image? In C++, with ONNX Runtime's own library:
//     g++ -std=c++17 examples/champion.cpp -I$ORT/include -L$ORT/lib -lonnxruntime -o champion && ./champion
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <vector>

int main() {
  Ort::Env env;
  Ort::Session session(env, ORT_TSTR("champion/champion.onnx"), Ort::SessionOptions{});
  auto shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();  // N x C x H x W
  shape[0] = 1;
  std::vector<uint8_t> pixels(shape[1] * shape[2] * shape[3], 0);  // light ink on dark, 0 to 255
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto image = Ort::Value::CreateTensor<uint8_t>(memory, pixels.data(), pixels.size(), shape.data(), shape.size());
  const std::array inputs{"image"};
  const std::array outputs{"probabilities"};
  auto answers = session.Run({}, inputs.data(), &image, 1, outputs.data(), 1);
  const auto count = answers[0].GetTensorTypeAndShapeInfo().GetElementCount();
  const float* probabilities = answers[0].GetTensorData<float>();
  for (size_t index = 0; index < count; ++index) std::cout << index << ": " << probabilities[index] << "\n";
}

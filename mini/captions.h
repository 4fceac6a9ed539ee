// The words of the picture world, and the captions that pretraining reads.
#pragma once

#include <string>
#include <vector>

#include "mini/world.h"

namespace likeness::mini {

// "dog"
const char* Name(SubjectClass subject_class);
// "in the snow", "on top of a purple rug": how a prompt says it
const char* Phrase(Scene scene);
// "snow", "purple-rug": for file names and tables
const char* Name(Scene scene);
const char* Name(Colour colour);
const char* Name(Pattern pattern);
// "wearing a red hat"; "" for none
const char* Phrase(Accessory accessory);
// "red-hat"; "none"
const char* Name(Accessory accessory);

// The class called `name`; throws Error (kInvalidArgument) that lists the classes.
SubjectClass ParseClass(const std::string& name);

// "a [primary [and secondary]] [pattern] class [wearing ...] [scene]": parts are left out at random
// so that prompts of every length mean something, and one caption in ten is empty, for guidance.
// The body's colour is named in most captions.
std::string Caption(const Depiction& depiction, Random& random);

// The caption with nothing left out.
std::string FullCaption(const Depiction& depiction);

// Every word that captions can hold, each once, sorted.
std::vector<std::string> CaptionWords();

}  // namespace likeness::mini

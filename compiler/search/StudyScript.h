// StudyScript: the Python text of a study's helper.
#pragma once

namespace peftc::search {
extern const char *const kStudyScript;
}
